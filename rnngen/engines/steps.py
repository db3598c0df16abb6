"""One step with reset, probe and mask, as every engine runs it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnngen.cells import Cell
from rnngen.engines import trees
from rnngen.engines.credited import credited_step
from rnngen.types import Array, Carry, Params, PyTree


class StepInput(NamedTuple):
    """Inputs of a step, of a chunk or of all steps; None where `unroll` got no such argument.

    Attributes:
      u: the argument of `cell.project` or, after `project`, of `cell.step`.
      mask: bool `[*b]`; where False the step is skipped.
      reset: bool `[*b]`; where True the step starts from `init_carry`.
      probe: added to the carry that enters the step.
    """

    u: PyTree
    mask: Array | None = None
    reset: Array | None = None
    probe: PyTree | None = None


def project(cell: Cell, params: Params, inputs: StepInput) -> StepInput:
    """Project the inputs of one step, a chunk or all steps."""
    return inputs._replace(u=cell.project(params, inputs.u, None))


def full_step(cell: Cell, record: Callable | None = None) -> Callable:
    """Return `(params, carry, projected StepInput) -> (carry, y)`, in the order reset, probe, step, mask.

    The step's gradient is changed by the cell's `credit`.

    Args:
      cell: the cell.
      record: as in `unroll`; with it the step returns `(carry, (y, what record returns))`.
    """

    one = credited_step(cell)

    def step(params: Params, carry: Carry, inputs: StepInput):
        entering = enter(cell, params, carry, inputs)
        carry, y = leave(inputs, entering, *one(params, entering, inputs.u))
        return carry, y if record is None else (y, record(params, entering, inputs, carry))

    return step


def enter(cell: Cell, params: Params, carry: Carry, inputs: StepInput) -> Carry:
    """Return the carry that enters the step, after reset and probe."""
    if inputs.reset is not None:
        carry = where(inputs.reset, cell.init_carry(params, inputs.reset.shape), carry)
    return carry if inputs.probe is None else jax.tree.map(jnp.add, carry, inputs.probe)


def start_gradient(cell: Cell, params: Params, batch: tuple[int, ...], dfresh: Carry) -> Params:
    """Pull the gradient in the carry after a reset back to the parameters; floats only."""
    return trees.vjp(lambda p: cell.init_carry(p, batch), params)[1](dfresh)[0]


def leave(inputs: StepInput, entering: Carry, carry: Carry, y: PyTree) -> tuple[Carry, PyTree]:
    """Apply the mask: a masked step leaves the carry as it entered, and zeros for y."""
    if inputs.mask is None:
        return carry, y
    return where(inputs.mask, carry, entering), where(inputs.mask, y, 0)


def where(condition: Array, tree: PyTree, other: PyTree | int) -> PyTree:
    """Apply `jnp.where` with a condition `[*b]` to trees of `[*b, ...]`; `other` may be 0."""
    if isinstance(other, int):
        other = jax.tree.map(jnp.zeros_like, tree)
    return jax.tree.map(lambda x, y: jnp.where(_spread(condition, x), x, y), tree, other)


def _spread(condition: Array, like: Any) -> Array:
    return condition.reshape(condition.shape + (1,) * (like.ndim - condition.ndim))
