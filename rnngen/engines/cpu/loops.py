"""Compiled loops for pointwise `Gated` cells on a CPU, as `fused` runs them.

XLA runs a recurrent step as a chain of small array programs; `kernels/` computes the same in one loop that keeps the
sums of a few units in registers. The C++ is generated from the cell (`generator.py`), built by this machine's compiler
(`build.py`), and used where it is faster (`calibration.py`).
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.custom_derivatives import CustomVJPPrimal

from rnngen.cells import Cell, Gated
from rnngen.cells.cell import no_projection, project_input
from rnngen.engines import trees
from rnngen.engines.cpu import ffi
from rnngen.engines.cpu.calibration import LOOPS
from rnngen.engines.cpu.ffi import Layer, LayerInputs
from rnngen.engines.cpu.generator import Loops, loops_of
from rnngen.engines.cpu.pointwise import NoLoops
from rnngen.engines.steps import StepInput, where
from rnngen.engines.telling import tell
from rnngen.types import Array, Carry, Params, PyTree


def why_none(cell: Cell, params: Params, u: PyTree) -> str | None:
    """Say why a cell has no compiled loops for these prepared parameters and inputs `[..., d]`; None: it has."""
    try:
        _loops(cell, params, u)
    except NoLoops as reason:
        return str(reason)
    return None


def loops_for(cell: Cell, params: Params, carry: Carry, inputs: StepInput) -> Loops | None:
    """Return the loops that can run these arguments, in float32 on a CPU, or None."""
    if jax.default_backend() != "cpu" or not isinstance(cell.structure, Gated):
        return None
    leaves = jax.tree.leaves((params, carry, inputs.probe, inputs.u))
    if any(jnp.result_type(leaf) != jnp.float32 or 0 in leaf.shape for leaf in leaves):
        return None
    try:
        return _loops(cell, params, inputs.u)
    except NoLoops:
        return None


def _loops(cell: Cell, params: Params, u: PyTree) -> Loops:
    if cell.project is project_input:
        return loops_of(cell, params, params["kernel"].shape[-1])
    us = jax.eval_shape(lambda p, u: cell.project(p, u, None), params, u)
    if not isinstance(us, jax.ShapeDtypeStruct) or us.dtype != jnp.float32:
        raise NoLoops("what its projection gives is not one float32 array")
    return loops_of(cell, params, us.shape[-1])


def compiled(loops: Loops, in_jax: Callable, threads: int | None = None) -> Callable:
    """Return the engine that runs a cell by its loops, which must have been built, with gradients.

    Args:
      in_jax: cell -> ((params, carry, inputs) -> (carry, ys)), the same in JAX, for gradients of gradients.
      threads: the most threads.
    """

    def run(cell: Cell, params: Params, carry: Carry, inputs: StepInput) -> tuple[Carry, Array, dict]:
        tell(LOOPS)
        product = cell.project is project_input
        us = inputs.u if product else cell.project(params, inputs.u, None)
        steps, *batch, _ = us.shape
        rows = lambda tree, lead: jax.tree.map(lambda x: x.reshape(*lead, x.shape[-1]), tree)  # noqa: E731
        xs, probes = rows((us, inputs.probe), [steps, -1])
        flag = lambda x: None if x is None else x.reshape(steps, -1).astype(jnp.float32)  # noqa: E731
        given = LayerInputs(params, rows(carry, [-1]), xs, flag(inputs.mask), flag(inputs.reset), probes)
        layer = Layer(cell, loops, product, threads)
        last, hs = _layer(layer, functools.partial(_in_jax, in_jax(cell if product else unprojected(cell))))(given)
        ys = rows(hs, [steps, *batch])
        return rows(last, batch), ys if inputs.mask is None else where(inputs.mask, ys, 0), {}

    return run


def unprojected(cell: Cell) -> Cell:
    """Return the cell for inputs that are projected already."""
    return cell._replace(project=no_projection)


def _in_jax(in_jax: Callable, given: LayerInputs) -> tuple[Carry, Array]:
    mask, resets = (None if flags is None else flags > 0 for flags in (given.mask, given.resets))
    return in_jax(given.params, given.carry, StepInput(given.xs, mask, resets, given.probes))


def _layer(layer: Layer, in_jax: Callable) -> Callable:
    """Return LayerInputs -> (carry, the h that leaves each step `[t, b, h]`), differentiable."""

    @jax.custom_vjp
    def run(given):
        return ffi.forward(layer, given, keep=False)[0]

    def forward(given):
        # The gradient in xs costs as much as that in the kernel, and the lowest layer of a model does not need it.
        wanted = {"xs": None} if given.xs.perturbed else {}
        given = jax.tree.map(lambda p: p.value, given, is_leaf=lambda p: isinstance(p, CustomVJPPrimal))
        out, kept = _keeping(layer, in_jax)(given)
        return out, (given, out[1], kept, wanted)

    def backward(residuals, gradients):
        given, hs, kept, wanted = residuals
        return (_gradient(layer, in_jax, bool(wanted))(given, hs, kept, trees.whole(gradients)),)

    run.defvjp(forward, backward, symbolic_zeros=True)
    return run


def _keeping(layer: Layer, in_jax: Callable) -> Callable:
    """Return LayerInputs -> (outputs of `_layer`, residuals), differentiable through JAX, for second derivatives.

    No gradient flows through the residuals: `_gradient` differentiates as if they were recomputed.
    """

    @jax.custom_vjp
    def run(given):
        return ffi.forward(layer, given, keep=True)

    def backward(given, gradients):
        return jax.vjp(in_jax, given)[1](gradients[0])

    run.defvjp(lambda given: (run(given), given), backward)
    return run


def _gradient(layer: Layer, in_jax: Callable, with_xs: bool) -> Callable:
    """Return (given, hs, residuals, gradients in (carry, hs)) -> gradients in given, differentiable through JAX."""

    @jax.custom_vjp
    def run(given, hs, kept, gradients):
        return ffi.backward(layer, given, hs, kept, gradients, with_xs)

    def forward(given, hs, kept, gradients):
        return run(given, hs, kept, gradients), (given, hs, kept, gradients)

    def backward(residuals, second):
        given, hs, kept, gradients = residuals
        pulled = jax.vjp(lambda given, gradients: jax.vjp(in_jax, given)[1](gradients)[0], given, gradients)[1](second)
        return pulled[0], jnp.zeros_like(hs), jnp.zeros_like(kept), pulled[1]

    run.defvjp(forward, backward)
    return run
