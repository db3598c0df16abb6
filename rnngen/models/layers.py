"""The recurrent layers of a model: a cell that reads one way, or, with two sets of parameters, both ways."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnngen.cells import Cell
from rnngen.engines import cast_params, get_engine, unroll, unroll_noted
from rnngen.types import Array, Carry, Key, Params

FORWARD, BACKWARD = "forward", "backward"


class Layer(NamedTuple):
    """One layer of a model.

    cell: what it is made of. output_dim: its features.
    init: (key, input_dim) -> params. prepare: (params, like) -> prepared params, cast as those of `unroll`.
    init_carry: (prepared params, batch_shape) -> carry.
    run: (params, xs `[t, *b, d]`, carry, options of `unroll_noted`) -> (carry, ys `[t, *b, output_dim]`, notes).
    change: (function of (key, params), key, params) -> params that the function gives, of each direction.
    """

    cell: Cell
    output_dim: int
    init: Callable[[Key, int], Params]
    prepare: Callable[[Params, Array], Params]
    init_carry: Callable[[Params, tuple[int, ...]], Carry]
    run: Callable[..., tuple[Carry, Array, dict[str, Array]]]
    change: Callable[[Callable[[Key | None, Params], Params], Key | None, Params], Params]


def init_params(cell: Cell, key: Key, input_dim: int) -> Params:
    """The cell's parameters in float32, also where JAX draws in double precision unless it is told."""
    return cast_params(cell.init(key, input_dim), jnp.zeros((), jnp.float32))


def one_way(cell: Cell) -> Layer:
    """From the first step to the last."""

    def prepare(params, like):
        return cast_params(cell.prepare(params), like)

    def run(params, xs, carry=None, **options):
        return unroll_noted(cell, params, xs, carry, **options)

    def change(function, key, params):
        return function(key, params)

    return Layer(cell, cell.output_dim, functools.partial(init_params, cell), prepare, cell.init_carry, run, change)


def both_ways(cell: Cell) -> Layer:
    """Once from each end (Schuster and Paliwal 1997): ys of the two side by side; parameters and carry
    `{"forward": ..., "backward": ...}`, probes too, each of the step that it enters."""

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
            last[way], y, said = unroll_noted(
                cell,
                params[way],
                xs,
                None if carry is None else carry[way],
                key=keys[way],
                probes=None if probes is None else probes[way],
                reverse=way == BACKWARD,
                **options,
            )
            ys.append(y)
            notes |= {f"{way}/{what}": value for what, value in said.items()}
        return last, jnp.concatenate(ys, axis=-1), notes

    def change(function, key, params):
        return each(function, _keys(key), params)

    return Layer(cell, 2 * cell.output_dim, init, prepare, init_carry, run, change)


def _keys(key: Key | None) -> dict[str, Key | None]:
    """One for each direction."""
    return dict(zip((FORWARD, BACKWARD), [None, None] if key is None else jax.random.split(key), strict=True))


def no_steps(init: Callable, init_carry: Callable, prepare: Callable, output_dim: int) -> Cell:
    """In place of a model's cell where a layer reads both ways: one that refuses to be stepped.

    Its functions raise ValueError.
    """

    def refuse(*_: Any, **__: Any) -> Any:
        raise ValueError("a model that reads both ways cannot go step by step")

    return Cell(init, init_carry, refuse, output_dim, refuse, prepare, refuse)


def check_engine(layers: Sequence[Layer], input_dim: int, engine) -> None:
    """Have an engine that may refuse a layer's cell do so now, by the shapes alone: raises ValueError."""
    get_engine(engine)
    if (engine.get("name") if isinstance(engine, Mapping) else engine) in ("auto", "scan"):
        return
    for layer, width in zip(layers, [input_dim, *(layer.output_dim for layer in layers)], strict=False):
        cell, xs = layer.cell, jnp.zeros((2, 1, width))
        jax.eval_shape(
            lambda key, c=cell, x=xs: unroll(c, c.init(key, x.shape[-1]), x, engine=engine), jax.random.key(0)
        )
