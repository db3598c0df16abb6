"""The fused backward pass of a `Gated` cell whose local derivatives are handwritten, see `cells.cell.Backward`."""

from typing import Any

import jax
import jax.numpy as jnp

from rnngen.cells import Cell
from rnngen.engines import trees
from rnngen.engines.credited import change
from rnngen.engines.reverse import Gradient, Residuals
from rnngen.engines.steps import StepInput, enter, leave, project, start_gradient, where
from rnngen.types import Array, Carry, Params, PyTree


class Handwritten:
    """Forward and backward pass of a cell with `structure.backward`; with `recompute` the residuals are the carries."""

    def __init__(self, cell: Cell, recompute: bool):
        structure: Any = cell.structure
        self.cell, self.recompute = cell, recompute
        self.hidden, self.rule = structure.hidden, structure.backward

    def forward(self, params: Params, carry: Carry, inputs: StepInput) -> tuple[Carry, PyTree, Residuals]:
        """Return (last carry, ys, residuals)."""
        twin: int | None = None

        def step(carry, inputs):
            nonlocal twin
            inputs = project(self.cell, params, inputs)
            entering = enter(self.cell, params, carry, inputs)
            new, y, extra = self._keep(params, entering, inputs.u)
            left, y = leave(inputs, entering, new, y)
            # Where the output is a leaf of the carry, as in all built-in cells, it is written once.
            twin = next((i for i, leaf in enumerate(jax.tree.leaves(left)) if leaf is y), None)
            return left, (None if twin is not None else y, Residuals(left, None if self.recompute else extra))

        last, (ys, residuals) = jax.lax.scan(step, carry, inputs)
        return last, ys if twin is None else jax.tree.leaves(residuals.carries)[twin], residuals

    def _keep(self, params: Params, entering: Carry, u: PyTree):
        return self.rule.keep(params, entering, u, self.hidden(entering) @ params["recurrent_kernel"])

    def backward(self, params, start, inputs: StepInput, residuals: Residuals, gradient: Gradient, dys):
        """Return (gradient before this chunk, gradient in the floats of its inputs)."""
        before = trees.entering(start, residuals.carries)
        us, through_project = trees.vjp(lambda p, u: self.cell.project(p, u, None), params, inputs.u)
        entering = enter(self.cell, params, before, inputs)
        extra = self._keep(params, entering, us)[2] if self.recompute else residuals.extra
        local = self.rule.local(params, entering, residuals.carries, extra)
        dcarry, (da, emitted, dentering) = self._thin(params, inputs, local, gradient.carry, dys)
        dus, dparams = self.rule.inputs(local, da, emitted)
        dprojection, du = through_project(dus)
        dparams = _sum(dprojection, dparams | {"recurrent_kernel": _outer(self.hidden(entering), da)})
        if inputs.reset is not None:
            dfresh = where(inputs.reset, dentering, 0)
            dparams = trees.add(dparams, start_gradient(self.cell, params, inputs.reset.shape, dfresh))
        dprobe = None if inputs.probe is None else dentering
        return Gradient(dcarry, trees.add(gradient.params, dparams)), StepInput(du, None, None, dprobe)

    def _thin(self, params, inputs: StepInput, local, dcarry, dys):
        """Scan in reverse; return the gradients in (the carry before, (a, what `pull` emits, the entering carry))."""
        transposed = params["recurrent_kernel"].T
        wanted = inputs.reset is not None or inputs.probe is not None

        def back(dcarry, parts):
            local, mask, reset, dy = parts
            dnew, dy = (dcarry, dy) if mask is None else where(mask, (dcarry, dy), 0)
            dentering, da, emitted = self.rule.pull(local, dnew, dy, lambda da: da @ transposed)
            dentering = change(self.cell, dentering, dnew, dy)
            if mask is not None:
                dentering = trees.add(dentering, where(~mask, dcarry, 0))
            before = dentering if reset is None else where(~reset, dentering, 0)
            return before, (da, emitted, dentering if wanted else None)

        return jax.lax.scan(back, dcarry, (local, inputs.mask, inputs.reset, dys), reverse=True)


def _outer(x: Array, dz: Array) -> Array:
    """Sum the outer products of x `[..., h]` and dz `[..., g]` as one matrix product `[h, g]`."""
    axes = tuple(range(x.ndim - 1))
    return jnp.tensordot(x, dz, (axes, axes))


def _sum(gradient: Params, some: Params) -> Params:
    """Add the gradient in some of the parameters."""
    return gradient | {name: gradient[name] + d for name, d in some.items()}
