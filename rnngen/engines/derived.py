"""The fused backward pass of any cell, derived by JAX from `step`.

Cells act on trailing axes, so time may be one more leading axis. In each chunk the step is linearised in the carry at
all steps at once, and the reverse scan only applies these linear maps. One vjp of the step over the whole chunk then
gives the gradients in parameters and inputs, with one product for each matmul.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax.extend.core import jaxpr_as_fun

from rnngen.cells import Cell
from rnngen.engines import trees
from rnngen.engines.dependence import depends
from rnngen.engines.reverse import Gradient, Residuals
from rnngen.engines.steps import StepInput, full_step, project
from rnngen.types import Carry, Params, PyTree


class Derived:
    """Forward and backward pass of any cell."""

    def __init__(self, cell: Cell):
        self.cell, self.step = cell, full_step(cell)

    def forward(self, params: Params, carry: Carry, inputs: StepInput) -> tuple[Carry, PyTree, Residuals]:
        """Return (last carry, ys, residuals)."""

        def step(carry, inputs):
            left, y = self.step(params, carry, project(self.cell, params, inputs))
            return left, (y, Residuals(left))

        last, (ys, residuals) = jax.lax.scan(step, carry, inputs)
        return last, ys, residuals

    def backward(self, params, start, inputs: StepInput, residuals: Residuals, gradient: Gradient, dys):
        """Return (gradient before this chunk, gradient in the floats of its inputs)."""
        before = trees.entering(start, residuals.carries)
        linear = linearise(lambda c, i: self.step(params, c, i), before, project(self.cell, params, inputs))

        def back(dcarry, parts):
            at_step, dy = parts
            return linear.pull(at_step, dcarry, dy), dcarry

        dcarry, dlefts = jax.lax.scan(back, gradient.carry, (linear.residuals, dys), reverse=True)

        def step(params, inputs):
            return self.step(params, before, project(self.cell, params, inputs))

        dparams, dinputs = trees.vjp(step, params, inputs)[1]((dlefts, dys))
        return Gradient(dcarry, trees.add(gradient.params, dparams)), dinputs


class Linearised(NamedTuple):
    """The transposed derivatives of a step in its carry at each step of a chunk.

    residuals: leaves `[chunk, ...]`. pull: (residuals of one step, dcarry, dy) -> gradient in the carry before it.
    """

    residuals: list
    pull: Callable


def linearise(step: Callable, carries: Carry, inputs: StepInput) -> Linearised:
    """Linearise step (carry, inputs) -> (carry, y) at carries and inputs `[chunk, *b, ...]`."""
    structure: Any = None

    def residuals(carry, inputs):
        nonlocal structure
        _, pull = trees.vjp(lambda c: step(c, inputs), carry)
        leaves, structure = jax.tree.flatten(pull)
        return leaves

    at_first = jax.tree.map(lambda x: x[0], (carries, inputs))
    traced = jax.make_jaxpr(residuals)(*at_first)
    # Residuals that are the same at every step, such as the transposed kernel, must not be copied `chunk` times.
    varies = depends(traced.jaxpr, [True] * len(traced.jaxpr.invars))
    axes = [0 if v else None for v in varies]
    leaves = jax.vmap(jaxpr_as_fun(traced), out_axes=axes)(*jax.tree.leaves((carries, inputs)))
    constant = [leaf for leaf, v in zip(leaves, varies, strict=True) if not v]

    def pull(varying, dcarry, dy):
        parts = iter(varying), iter(constant)
        whole = [next(parts[0] if v else parts[1]) for v in varies]
        return jax.tree.unflatten(structure, whole)((dcarry, dy))[0]

    return Linearised([leaf for leaf, v in zip(leaves, varies, strict=True) if v], pull)
