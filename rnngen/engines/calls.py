"""One call of a compiled loop: what a layer is given, as the arrays that `kernels/` takes."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnngen.cells import Cell
from rnngen.engines import building, trees
from rnngen.engines.steps import start_gradient
from rnngen.process import count_cores
from rnngen.types import Array, Carry, Params, PyTree

WEIGHTS = ("kernel", "recurrent_kernel", "bias", "recurrent_bias")
LANES = 16  # the most numbers that a vector holds; what is kept of a layer is padded to as many units


class Kernels(NamedTuple):
    """What is kept a unit for the way back, and whether the carry is a dict with a `c` beside its `h`."""

    kept: int
    has_c: bool


KERNELS = {"rnn": Kernels(0, False), "gru": Kernels(4, False), "lstm": Kernels(5, True)}


class Given(NamedTuple):
    """What a layer runs on, the batch as one axis. mask, resets: `[t, b]`, as numbers, since they are differentiated
    with the rest; None, like probes, where there are none."""

    params: Params
    carry: Carry
    xs: Array
    mask: Array | None
    resets: Array | None
    probes: Carry | None


def forward(cell: Cell, given: Given, keep: bool) -> tuple[tuple[Carry, Array], Array]:
    """((last carry, the h that leaves each step `[t, b, h]`), kept); keep: something for the way back."""
    (name, kernels), (steps, batch, _) = _kernels(cell), given.xs.shape
    h, c = _parts(given.carry, kernels)
    units = h.shape[-1]
    numbers = kernels.kept * -(-units // LANES) * LANES
    shapes = [(steps, batch, units), (steps, batch, numbers) if keep else (0,), c.shape]
    arrays = (given.xs, *_four(given.params), *_around(cell, given, kernels))
    hs, kept, c = _call(f"{name}_forward", batch, shapes, *arrays)
    return (_carry(hs[-1], c, kernels), hs), kept


def backward(cell: Cell, given: Given, hs: Array, kept: Array, gradients: PyTree, with_xs: bool) -> Given:
    """Gradients in what is given, of those in what `forward` gave; with_xs: or zeros for xs."""
    (name, kernels), (dcarry, dhs) = _kernels(cell), gradients
    weights, around = _four(given.params), _around(cell, given, kernels)
    (h, c, *probes), fresh = around[:4], around[6:]
    wanted = [*weights, h, c, given.xs if with_xs else _nothing(), *probes, *fresh]
    arrays = (given.xs, *weights[:2], *around, hs, kept, dhs, *_parts(dcarry, kernels))
    *four, dh, dc, dxs, dprobe_h, dprobe_c, dfresh_h, dfresh_c = _call(
        f"{name}_backward", given.xs.shape[1], [x.shape for x in wanted], *arrays
    )
    dparams = jax.tree.map(jnp.zeros_like, given.params)
    dparams |= {name: d for name, d in zip(WEIGHTS, four, strict=True) if name in dparams}
    if given.resets is not None:
        dfresh = _carry(dfresh_h, dfresh_c, kernels)
        dparams = trees.add(dparams, start_gradient(cell, given.params, given.xs.shape[1:-1], dfresh))
    return Given(
        dparams,
        _carry(dh, dc, kernels),
        dxs if with_xs else jnp.zeros_like(given.xs),
        jax.tree.map(jnp.zeros_like, given.mask),
        jax.tree.map(jnp.zeros_like, given.resets),
        None if given.probes is None else _carry(dprobe_h, dprobe_c, kernels),
    )


def _around(cell: Cell, given: Given, kernels: Kernels) -> list[Array]:
    """h and c at first, their probes, mask, resets, and h and c after a reset; empty is what there is not."""
    flags = [_nothing() if flags is None else flags for flags in (given.mask, given.resets)]
    fresh = None if given.resets is None else cell.init_carry(given.params, given.xs.shape[1:-1])
    carries = [_parts(carry, kernels) for carry in (given.carry, given.probes, fresh)]
    return [*carries[0], *carries[1], *flags, *carries[2]]


def _kernels(cell: Cell) -> tuple[str, Kernels]:
    structure: Any = cell.structure
    return structure.backward.kernels, KERNELS[structure.backward.kernels]


def _call(name: str, rows: int, shapes: list[tuple[int, ...]], *given: Array) -> Sequence[Array]:
    outs = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    run = jax.ffi.ffi_call(building.PREFIX + name, outs, vmap_method="sequential")
    return run(*given, shares=count_shares(rows), threads=count_threads())


def count_shares(rows: int) -> int:
    """How many threads can share a batch: two where there are some rows, more where there are many, since shares of
    few rows read the weights too often."""
    return max(1 if rows < 10 else 2, rows // 32)


def count_threads() -> int:
    """As many as there are cores; where several devices made of them run this side by side, a device's share."""
    mesh = jax.sharding.get_abstract_mesh()
    beside = math.prod(mesh.shape[axis] for axis in mesh.manual_axes)
    return max(1, count_cores() // beside)


def _four(weights: Params) -> list[Array]:
    """All weights that a kernel is handed; empty is what the cell does not have."""
    return [weights.get(name, _nothing()) for name in WEIGHTS]


def _parts(carry: Carry | None, kernels: Kernels) -> tuple[Array, Array]:
    """(h, c) of a carry, of probes or of their gradients."""
    if carry is None:
        return _nothing(), _nothing()
    return (carry["h"], carry["c"]) if kernels.has_c else (carry, _nothing())


def _carry(h: Array, c: Array, kernels: Kernels) -> Carry:
    return {"h": h, "c": c} if kernels.has_c else h


def _nothing() -> Array:
    return jnp.zeros(0, jnp.float32)
