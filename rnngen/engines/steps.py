"""What every engine runs: a step with reset, probe and mask around it, written once."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnngen.cells import Cell
from rnngen.engines import trees
from rnngen.types import Array, Carry, Params, PyTree


class StepInput(NamedTuple):
    """The inputs of a step, of a chunk or of all steps; None where the unroll has no such thing.

    u: what `cell.project` takes, or, after `project`, what `cell.step` takes.
    """

    u: PyTree
    mask: Array | None = None
    reset: Array | None = None
    probe: PyTree | None = None


def project(cell: Cell, params: Params, inputs: StepInput) -> StepInput:
    """The inputs with u projected: of one step, a chunk or all, as suits the engine."""
    return inputs._replace(u=cell.project(params, inputs.u, None))


def full_step(cell: Cell):
    """(params, carry, projected StepInput) -> (carry, y), in the order reset, probe, step, mask."""

    def step(params: Params, carry: Carry, inputs: StepInput):
        entering = enter(cell, params, carry, inputs)
        return leave(inputs, entering, *cell.step(params, entering, inputs.u))

    return step


def enter(cell: Cell, params: Params, carry: Carry, inputs: StepInput) -> Carry:
    """The carry that enters the step: reset and probed."""
    if inputs.reset is not None:
        carry = where(inputs.reset, cell.init_carry(params, inputs.reset.shape), carry)
    return carry if inputs.probe is None else jax.tree.map(jnp.add, carry, inputs.probe)


def start_gradient(cell: Cell, params: Params, batch: tuple[int, ...], dfresh: Carry) -> Params:
    """The gradient in the parameters, of one in the carry after a reset, in floats alone."""
    return trees.vjp(lambda p: cell.init_carry(p, batch), params)[1](dfresh)[0]


def leave(inputs: StepInput, entering: Carry, carry: Carry, y: PyTree) -> tuple[Carry, PyTree]:
    """What leaves the step: where masked, the carry that entered, and zeros."""
    if inputs.mask is None:
        return carry, y
    return where(inputs.mask, carry, entering), where(inputs.mask, y, 0)


def where(condition: Array, tree: PyTree, other: PyTree | int) -> PyTree:
    """`jnp.where` with a condition `[*b]` over trees of `[*b, ...]`; `other` may be 0."""
    if isinstance(other, int):
        other = jax.tree.map(jnp.zeros_like, tree)
    return jax.tree.map(lambda x, y: jnp.where(_spread(condition, x), x, y), tree, other)


def _spread(condition: Array, like: Any) -> Array:
    return condition.reshape(condition.shape + (1,) * (like.ndim - condition.ndim))
