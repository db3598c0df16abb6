"""`unroll`: the only way to run a cell through time, with any engine."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.cells import Cell
from rnngen.cells.cell import no_projection
from rnngen.engines.checks import check_arrays, check_inputs, check_width, only_reverse
from rnngen.engines.dependence import depends
from rnngen.engines.plainly import is_plain
from rnngen.engines.scan import scan
from rnngen.engines.steps import StepInput, where
from rnngen.engines.table import get_engine
from rnngen.engines.telling import one_unroll
from rnngen.engines.windowed import windowed
from rnngen.types import Array, Carry, Key, Params, PyTree


class Prepared(NamedTuple):
    """The arguments of an engine.

    Attributes:
      cell: the cell.
      params: its parameters, after `cell.prepare`.
      carry: its initial carry.
      inputs: the inputs of all steps, not projected yet (see `steps.project`) except where that needs a key.
    """

    cell: Cell
    params: Params
    carry: Carry
    inputs: StepInput


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
    engine: str | Mapping | Callable = "auto",
    record: Callable | None = None,
    notes: bool = False,
) -> tuple[Any, ...]:
    """Run a cell over a sequence.

    Within a step the order is: reset, probe, step, mask. The gradient that the step gives in the carry which enters it
    is changed by `cell.credit`.

    The wider float type is cast to the narrower: the prepared parameters where xs is bfloat16, and xs where it is
    float64 (NumPy's default) and the parameters are not. An empty sequence or batch gives an empty output.

    Args:
      cell: the cell.
      params: its parameters.
      xs: inputs `[t, *b, d]`, or a tree of arrays `[t, *b, ...]` that `cell.project` takes.
      carry: the initial carry; default: the cell's `init_carry`.
      mask: bool `[t, *b]`; where False the carry stays, `ys` is zero and `xs` counts as zero.
      resets: bool `[t, *b]`; where True the step starts from `init_carry` instead of the carry.
      key: for cells that draw noise in `project`.
      reverse: run from the last step to the first; `resets` still mark where a sequence *begins*.
      probes: like the carry with a leading `t`, added to the carry that enters each step. The gradient with respect to
        a probe of zeros is the gradient with respect to that carry.
      engine: a name in `ENGINES`, or anything else that `get_engine` takes.
      record: `(params, carry, inputs, new_carry) -> tree`, values to return of each step. It sees the prepared
        parameters, the carry that enters the step (after reset and probe), the step's `StepInput`, whose `u` is what
        `cell.step` takes, and the carry that leaves the step (after the mask). Uses the engine `scan`.
      notes: also return the engine's notes, name -> scalar; only `newton` has any.

    Returns:
      `(last carry, ys [t, *b, h])`; with `record`, then the recorded tree, `[t, ...]` on each leaf; with `notes`, then
      the notes.

    Raises:
      ValueError: the engine is unknown, cannot run the cell or cannot record; an argument holds something other than
        arrays, or arrays that do not fit each other; or forward-mode derivatives are taken of an engine without them.
    """
    run = _engine(engine, record)
    prepared = prepare_unroll(
        cell, params, xs, carry, mask=mask, resets=resets, key=key, reverse=reverse, probes=probes
    )
    if 0 in (*jax.tree.leaves(xs)[0].shape[:1], *batch_shape(xs, mask, resets)):
        run = scan()  # nothing to be fast at, and no chunk to be made
    elif cell.credit is not None and cell.credit.window and record is None:
        run = functools.partial(windowed, run)
    with one_unroll(), only_reverse():
        last, ys, said = run(*prepared) if record is None else run(*prepared, record=record)
    ys = _flip(ys) if reverse else ys
    return last, *((ys,) if record is None else ys), *((said,) if notes else ())


def _engine(spec: str | Mapping | Callable, record: Callable | None) -> Callable:
    """Return the engine of a spec; the plain scan within `plainly`, and with `record`, which goes step by step."""
    run = get_engine(spec)
    name = spec.get("name") if isinstance(spec, Mapping) else spec
    if is_plain():
        return scan()
    if record is None or name == "scan":
        return run
    if name != "auto":
        raise ValueError(f"record: engine {name!r} does not go step by step; leave it out, or take 'scan'")
    return scan()


def prepare_unroll(
    cell, params, xs, carry=None, *, mask=None, resets=None, key=None, reverse=False, probes=None
) -> Prepared:
    """Check and prepare the arguments of `unroll` for an engine.

    Args:
      cell, params, xs, carry, mask, resets, key, reverse, probes: as in `unroll`.

    Returns:
      The arguments of an engine.

    Raises:
      ValueError: arguments that do not fit each other.
    """
    check_arrays(xs=xs, params=params, mask=mask, resets=resets)
    original, params = params, cast_params(cell.prepare(params), xs)
    xs = cast_inputs(xs, params)
    first = cell.init_carry(params, batch_shape(xs, mask, resets))
    carry = first if carry is None else carry
    check_inputs(xs, first, carry, mask, resets, probes)
    if mask is not None:
        xs = where(mask, xs, 0)
    check_width(cell, original, params, xs, key)
    if key is not None and _draws(cell, params, xs, key):
        cell, xs = cell._replace(project=no_projection), cell.project(params, xs, key)
    if resets is not None and reverse:
        # Read backwards, a sequence begins after the step that ends it: one step later in time.
        resets = jnp.concatenate([resets[1:], jnp.zeros_like(resets[:1])])
    inputs = StepInput(xs, mask, resets, probes)
    return Prepared(cell, params, carry, StepInput(*map(_flip, inputs)) if reverse else inputs)


def _draws(cell: Cell, params: Params, xs: PyTree, key: Key) -> bool:
    """Return True if `project` uses the key; if not, each engine may project step by step."""
    count = len(jax.tree.leaves((params, xs)))
    jaxpr = jax.make_jaxpr(cell.project)(params, xs, key).jaxpr
    return any(depends(jaxpr, [False] * count + [True] * (len(jaxpr.invars) - count)))


def cast_params(params: Params, xs: PyTree) -> Params:
    """Cast float parameters down to the float type of the inputs.

    Args:
      params: a tree of arrays.
      xs: inputs `[t, *b, d]`, or a tree of arrays `[t, *b, ...]`.

    Returns:
      The parameters, in the type of xs where that is narrower.
    """
    return _cast_down(params, next(iter(_floats(xs)), None))


def cast_inputs(xs: PyTree, params: Params) -> PyTree:
    """Cast float64 in xs down to the widest float type of the parameters where that is narrower."""
    widest = max(_floats(params), key=lambda dtype: dtype.itemsize, default=None)
    return jax.tree.map(lambda x: _cast_down(x, widest) if x.dtype == jnp.float64 else x, xs)


def _floats(tree: PyTree) -> list[np.dtype]:
    return [leaf.dtype for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)]


def _cast_down(tree: PyTree, dtype: np.dtype | None) -> PyTree:
    def cast(leaf):
        wider = dtype is not None and jnp.issubdtype(leaf.dtype, jnp.floating) and dtype.itemsize < leaf.dtype.itemsize
        return leaf.astype(dtype) if wider else leaf

    return jax.tree.map(cast, tree)


def batch_shape(xs: PyTree, mask: Array | None = None, resets: Array | None = None) -> tuple[int, ...]:
    """Read off the batch axes of a sequence.

    Args:
      xs: inputs `[t, *b, d]`, or a tree of arrays `[t, *b, ...]`.
      mask, resets: `[t, *b]`, or None.

    Returns:
      The batch axes `*b`: of mask or resets where given, else of xs.
    """
    for known in (mask, resets):
        if known is not None:
            return known.shape[1:]
    return jax.tree.leaves(xs)[0].shape[1:-1]


def _flip(tree: PyTree) -> PyTree:
    return jax.tree.map(lambda x: jnp.flip(x, axis=0), tree)
