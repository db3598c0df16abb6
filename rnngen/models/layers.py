"""Recurrent layers of a model: a cell that reads one way, or, with two sets of parameters, both ways."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnngen.cells import Cell
from rnngen.engines import cast_params, get_engine, unroll
from rnngen.types import Array, Carry, Key, Params

FORWARD, BACKWARD = "forward", "backward"


class Layer(NamedTuple):
    """One layer of a model.

    Attributes:
      cell: one step of the layer; None for one without steps. Of a layer that reads both ways, that of each direction.
      output_dim: number of its features.
      init: (key, input_dim) -> params.
      prepare: (params, like) -> prepared params, cast as those of `unroll`.
      init_carry: (prepared params, batch_shape) -> carry.
      run: (params, xs `[t, *b, d]`, carry, options of `unroll`) -> (carry, ys `[t, *b, output_dim]`, notes).
      change: (function of (key, params), key, params) -> params that the function returns, of each direction.
    """

    cell: Cell | None
    output_dim: int
    init: Callable[[Key, int], Params]
    prepare: Callable[[Params, Array], Params]
    init_carry: Callable[[Params, tuple[int, ...]], Carry]
    run: Callable[..., tuple[Carry, Array, dict[str, Array]]]
    change: Callable[[Callable[[Key | None, Params], Params], Key | None, Params], Params]


def init_params(cell: Cell, key: Key, input_dim: int) -> Params:
    """Draw the cell's parameters in float32, also where JAX defaults to double precision."""
    return cast_params(cell.init(key, input_dim), jnp.zeros((), jnp.float32))


def one_way(cell: Cell) -> Layer:
    """Run a cell from the first step to the last."""

    def prepare(params, like):
        return cast_params(cell.prepare(params), like)

    def run(params, xs, carry=None, **options):
        return unroll(cell, params, xs, carry, notes=True, **options)

    def change(function, key, params):
        return function(key, params)

    return Layer(cell, cell.output_dim, functools.partial(init_params, cell), prepare, cell.init_carry, run, change)


def both_ways(cell: Cell) -> Layer:
    """Run a cell once from each end (Schuster and Paliwal 1997), ys of the two side by side.

    Parameters, carry and probes are `{"forward": ..., "backward": ...}`.
    """

    def each(function: Callable, *trees: Any) -> dict[str, Any]:
        return {way: function(*(tree[way] for tree in trees)) for way in (FORWARD, BACKWARD)}

    def init(key, input_dim):
        return each(lambda key: init_params(cell, key, input_dim), _keys(key))

    def prepare(params, like):
        return each(lambda p: cast_params(cell.prepare(p), like), params)

    def init_carry(params, batch_shape):
        return each(lambda p: cell.init_carry(p, batch_shape), params)

    def run(params, xs, carry=None, *, key=None, probes=None, **options):
        keys = _keys(key)
        last, ys, notes = {}, [], dict[str, Array]()
        for way in (FORWARD, BACKWARD):
            last[way], y, said = unroll(
                cell,
                params[way],
                xs,
                None if carry is None else carry[way],
                key=keys[way],
                probes=None if probes is None else probes[way],
                reverse=way == BACKWARD,
                notes=True,
                **options,
            )
            ys.append(y)
            notes |= {f"{way}/{what}": value for what, value in said.items()}
        return last, jnp.concatenate(ys, axis=-1), notes

    def change(function, key, params):
        return each(function, _keys(key), params)

    return Layer(cell, 2 * cell.output_dim, init, prepare, init_carry, run, change)


def _keys(key: Key | None) -> dict[str, Key | None]:
    """Split a key, one for each direction."""
    return dict(zip((FORWARD, BACKWARD), [None, None] if key is None else jax.random.split(key), strict=True))


def check_engine(layers: Sequence[Layer], input_dim: int, engine) -> None:
    """Raise ValueError where the engine cannot run a layer's cell; by the shapes alone."""
    get_engine(engine)
    if (engine.get("name") if isinstance(engine, Mapping) else engine) in ("auto", "scan"):
        return
    for layer, width in zip(layers, [input_dim, *(layer.output_dim for layer in layers)], strict=False):
        if layer.cell is None:
            raise ValueError("an engine runs a cell through time, and a control is none: leave model.engine at auto")
        xs = jnp.zeros((2, 1, width))
        jax.eval_shape(
            lambda key, run=layer, x=xs: run.run(run.init(key, x.shape[-1]), x, engine=engine), jax.random.key(0)
        )
