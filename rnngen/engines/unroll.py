"""`unroll`: the one door to running a cell through time, whatever engine does the running.

Mask, resets, probes and direction are one wrapper around the cell's step, so every engine has them.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnngen.cells import Cell
from rnngen.engines.scan import scan
from rnngen.lookup import find
from rnngen.types import Array, Carry, Key, Params, PyTree

ENGINES = {"scan": scan}


class Prepared(NamedTuple):
    """What an engine runs: a (wrapped) cell, its prepared parameters, first carry and step inputs."""

    cell: Cell
    params: Params
    carry: Carry
    us: PyTree


class StepInput(NamedTuple):
    """The input of one wrapped step; None where the unroll has no such thing."""

    u: PyTree
    mask: Array | None
    reset: Array | None
    probe: PyTree | None


def get_engine(name: str):
    """The engine of that name; `auto` picks the fastest that keeps `scan`'s results (today: `scan`)."""
    return scan if name == "auto" else find(ENGINES, name, "engine")


def unroll(
    cell: Cell,
    params: Params,
    xs: PyTree,
    carry: Carry | None = None,
    *,
    mask: Array | None = None,
    resets: Array | None = None,
    key: Key | None = None,
    reverse: bool = False,
    probes: PyTree | None = None,
    engine: str = "auto",
) -> tuple[Carry, PyTree]:
    """Run a cell over a sequence: xs `[t, *b, d]` -> (last carry, ys `[t, *b, h]`).

    Within a step the order is: reset, probe, step, mask.

    mask: bool `[t, *b]`; where False the carry stays, `ys` is zero and `xs` counts as zero.
    resets: bool `[t, *b]`; where True the step starts from `init_carry` instead of the carry.
    key: for cells that draw noise in `project`.
    reverse: run from the last step to the first; `resets` still mark where a sequence *begins*.
    probes: like the carry with a leading `t`, added to the carry that enters each step. The gradient
      with respect to a probe of zeros is the gradient with respect to that carry.
    engine: a name in `ENGINES`, or "auto".

    Where xs is of a narrower float type than the parameters (bfloat16), the prepared parameters are
    cast to it. Raises ValueError for an unknown engine.
    """
    run = get_engine(engine)
    wrapped = prepare_unroll(cell, params, xs, carry, mask=mask, resets=resets, key=key, reverse=reverse, probes=probes)
    last, ys = run(*wrapped)
    return last, _flip(ys) if reverse else ys


def prepare_unroll(
    cell, params, xs, carry=None, *, mask=None, resets=None, key=None, reverse=False, probes=None
) -> Prepared:
    """Everything of `unroll` that comes before an engine runs; arguments as there."""
    params = cast_params(cell.prepare(params), xs)
    if carry is None:
        carry = cell.init_carry(params, batch_shape(xs, mask, resets))
    if mask is not None:
        xs = jax.tree.map(lambda x: _where(mask, x, jnp.zeros_like(x)), xs)
    us = cell.project(params, xs, key)
    if resets is not None and reverse:
        # Read backwards, a sequence begins after the step that ends it: one step later in time.
        resets = jnp.concatenate([resets[1:], jnp.zeros_like(resets[:1])])
    if mask is not None or resets is not None or probes is not None:
        cell, us = _wrap(cell), StepInput(us, mask, resets, probes)
    return Prepared(cell, params, carry, _flip(us) if reverse else us)


def _wrap(cell: Cell) -> Cell:
    def step(params, carry, inputs: StepInput):
        if inputs.reset is not None:
            fresh = cell.init_carry(params, inputs.reset.shape)
            carry = jax.tree.map(lambda new, old: _where(inputs.reset, new, old), fresh, carry)
        if inputs.probe is not None:
            carry = jax.tree.map(jnp.add, carry, inputs.probe)
        new, y = cell.step(params, carry, inputs.u)
        if inputs.mask is not None:
            new = jax.tree.map(lambda new, old: _where(inputs.mask, new, old), new, carry)
            y = jax.tree.map(lambda y: _where(inputs.mask, y, jnp.zeros_like(y)), y)
        return new, y

    return cell._replace(step=step, structure=None)


def _where(condition: Any, x: Array, y: Array) -> Array:
    """`jnp.where` with a condition `[*b]` over arrays `[*b, ...]`."""
    return jnp.where(condition.reshape(condition.shape + (1,) * (x.ndim - condition.ndim)), x, y)


def cast_params(params: Params, xs: PyTree) -> Params:
    """Cast float parameters down to the float type of xs where that is narrower; else leave them."""
    floats = [x.dtype for x in jax.tree.leaves(xs) if jnp.issubdtype(x.dtype, jnp.floating)]
    if not floats:
        return params

    def cast(p):
        narrower = jnp.issubdtype(p.dtype, jnp.floating) and floats[0].itemsize < p.dtype.itemsize
        return p.astype(floats[0]) if narrower else p

    return jax.tree.map(cast, params)


def batch_shape(xs: PyTree, mask: Array | None = None, resets: Array | None = None) -> tuple[int, ...]:
    """The batch axes of a sequence: of mask or resets `[t, *b]` where given, else of xs `[t, *b, d]`."""
    for known in (mask, resets):
        if known is not None:
            return known.shape[1:]
    return jax.tree.leaves(xs)[0].shape[1:-1]


def _flip(tree: PyTree) -> PyTree:
    return jax.tree.map(lambda x: jnp.flip(x, axis=0), tree)
