"""Calls of a compiled loop: a layer's arguments as the arrays that `kernels/` takes."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnngen.cells import Cell
from rnngen.engines import trees
from rnngen.engines.cpu import build
from rnngen.engines.cpu.generator import Loops, nothing
from rnngen.engines.steps import start_gradient
from rnngen.runtime import count_cores
from rnngen.types import Array, Carry, Params, PyTree

LANES = 16  # the largest vector; residuals of a layer are padded to a multiple of so many units


class Layer(NamedTuple):
    """A cell and its loops.

    product: the loops multiply xs by the cell's kernel; else xs is that product. threads: the most threads; None: the
    number of cores.
    """

    cell: Cell
    loops: Loops
    product: bool
    threads: int | None = None

    def weights(self, params: Params) -> tuple[Array, Array, Array]:
        """Return the initial value of the sums, the kernel and the recurrent kernel."""
        start = self.loops.start(params, self.cell.output_dim, self.product)
        return start, params["kernel"] if self.product else nothing(), params["recurrent_kernel"]


class LayerInputs(NamedTuple):
    """Inputs of a layer, the batch as one axis; None where there are no mask, resets or probes.

    mask, resets: `[t, b]`, as floats, since they are differentiated with the rest.
    """

    params: Params
    carry: Carry
    xs: Array
    mask: Array | None
    resets: Array | None
    probes: Carry | None


def forward(layer: Layer, given: LayerInputs, keep: bool) -> tuple[tuple[Carry, Array], Array]:
    """Return ((last carry, the h that leaves each step `[t, b, h]`), residuals); no residuals without `keep`."""
    loops, (steps, batch, _) = layer.loops, given.xs.shape
    h, c = loops.parts(given.carry)
    units = h.shape[-1]
    numbers = loops.kept * -(-units // LANES) * LANES
    shapes = [(steps, batch, units), (steps, batch, numbers) if keep else (0,), c.shape]
    arrays = (given.xs, *layer.weights(given.params), *_around(layer, given))
    hs, kept, c = _call(layer, "forward", batch, shapes, *arrays)
    return (loops.carry(given.carry, hs[-1], c), hs), kept


def backward(layer: Layer, given: LayerInputs, hs: Array, kept: Array, gradients: PyTree, with_xs: bool) -> LayerInputs:
    """Return the gradients in `given`, of those in the outputs of `forward`; zeros for xs without `with_xs`."""
    loops, (dcarry, dhs), around = layer.loops, gradients, _around(layer, given)
    (start, *kernels), to_weights = jax.vjp(layer.weights, given.params)
    (h, c, *probes), fresh = around[:4], around[6:]
    wanted = [*kernels, start, h, c, given.xs if with_xs else nothing(), *probes, *fresh]
    factors, keep_norm = _credit(layer, given.carry)
    arrays = (given.xs, start, *kernels, *around, hs, kept, dhs, *loops.parts(dcarry), factors)
    shapes = [x.shape for x in wanted]
    found = _call(layer, "backward", given.xs.shape[1], shapes, *arrays, keep_norm=int(keep_norm))
    dkernel, drecurrent, dstart, dh, dc, dxs, dprobe_h, dprobe_c, dfresh_h, dfresh_c = found
    (dparams,) = to_weights((dstart, dkernel, drecurrent))
    if given.resets is not None:
        dfresh = loops.carry(given.carry, dfresh_h, dfresh_c)
        dparams = trees.add(dparams, start_gradient(layer.cell, given.params, given.xs.shape[1:-1], dfresh))
    return LayerInputs(
        dparams,
        loops.carry(given.carry, dh, dc),
        dxs if with_xs else jnp.zeros_like(given.xs),
        jax.tree.map(jnp.zeros_like, given.mask),
        jax.tree.map(jnp.zeros_like, given.resets),
        None if given.probes is None else loops.carry(given.carry, dprobe_h, dprobe_c),
    )


def _around(layer: Layer, given: LayerInputs) -> list[Array]:
    """Return the initial h and c, their probes, mask, resets, and h and c after a reset; empty where not given."""
    flags = [nothing() if flags is None else flags for flags in (given.mask, given.resets)]
    fresh = None if given.resets is None else layer.cell.init_carry(given.params, given.xs.shape[1:-1])
    carries = [layer.loops.parts(carry) for carry in (given.carry, given.probes, fresh)]
    return [*carries[0], *carries[1], *flags, *carries[2]]


def _credit(layer: Layer, carry: Carry) -> tuple[Array, bool]:
    """Return the factors of the gradient in the carry that enters, h and the others, and if its norm is kept."""
    credit = layer.cell.credit
    if credit is None:
        return nothing(), False
    factors = credit.factors(carry)
    hidden = factors.pop(layer.loops.hidden)
    return jnp.array([hidden, *factors], jnp.float32), credit.keep_norm


def _call(
    layer: Layer, name: str, rows: int, shapes: list[tuple[int, ...]], *given: Array, **attributes: int
) -> Sequence[Array]:
    outs = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    run = jax.ffi.ffi_call(build.target(layer.loops.library, name), outs, vmap_method="sequential")
    return run(*given, shares=count_shares(rows), threads=layer.threads or count_threads(), **attributes)


def count_shares(rows: int) -> int:
    """Return how many threads share a batch: one for few rows, since each share reads all the weights."""
    return max(1 if rows < 10 else 2, rows // 32)


def count_threads() -> int:
    """Return the number of cores, divided by the number of devices that run this in parallel."""
    mesh = jax.sharding.get_abstract_mesh()
    beside = math.prod(mesh.shape[axis] for axis in mesh.manual_axes)
    return max(1, count_cores() // beside)
