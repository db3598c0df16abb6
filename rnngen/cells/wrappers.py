"""Cells around cells: residual connections, zoneout, and dropout that is the same at every step.

Each takes the wrapped cell's factory, or its name as in a config, and `kwargs` for it. Parameters and carry are the
wrapped cell's, so code that reads those of the wrapped cell reads these too.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from rnngen.cells.cell import MOST_FEATURES, Affine, Cell, Chunked, Gated
from rnngen.cells.table import PLAIN
from rnngen.registry import check_arguments, find
from rnngen.types import Array, Carry, Key, PyTree


def residual(hidden_dim: int, *, cell: str | Callable = "lstm", kwargs: dict | None = None) -> Cell:
    """A residual connection, y + x P (He et al. 2016): P is the identity where x is as wide as y, else `skip [d, h]`.

    Raises ValueError where the wrapped cell cannot be made.

    Args:
      hidden_dim: h of the wrapped cell.
      cell: the wrapped cell: a name in `CELLS`, `"package.module:factory"`, or the factory.
      kwargs: other arguments of its factory.

    Returns:
      The wrapped cell with the connection around it.
    """
    inner = _inner(cell, hidden_dim, kwargs)

    def init(key, input_dim):
        key_cell, key_skip = jax.random.split(key)
        skip = jax.nn.initializers.lecun_normal()(key_skip, (input_dim, inner.output_dim), jnp.float32)
        return inner.init(key_cell, input_dim) | ({} if input_dim == inner.output_dim else {"skip": skip})

    def project(params, xs, key=None):
        return {"u": inner.project(params, xs, key), "skip": xs @ params["skip"] if "skip" in params else xs}

    def step(params, carry, u):
        carry, y = inner.step(params, carry, u["u"])
        return carry, y + u["skip"]

    around = _observing(inner)._replace(init=init, project=project, step=step)
    return around._replace(structure=_with_skip(inner.structure), diagonal=inner.diagonal)


def zoneout(
    hidden_dim: int,
    *,
    cell: str | Callable = "lstm",
    kwargs: dict | None = None,
    rate: float = 0.1,
    carry_rate: float = 0.0,
) -> Cell:
    """Zoneout: each unit keeps its old value with probability `rate` (Krueger et al. 2017).

    Without a key, the new value is the expected one.

    Args:
      hidden_dim: h of the wrapped cell.
      cell: the wrapped cell: a name in `CELLS`, `"package.module:factory"`, or the factory.
      kwargs: other arguments of its factory.
      rate: of the hidden state that is the output.
      carry_rate: of the rest of the carry, such as an LSTM's c.

    Returns:
      The wrapped cell with zoneout.

    Raises:
      ValueError: a rate is outside [0, 1), the wrapped cell cannot be made, or its carry is neither its output nor a
        mapping with the output under "h".
    """
    inner = _inner(cell, hidden_dim, kwargs)
    _check_hidden("zoneout", inner)
    _check_rates(rate=rate, carry_rate=carry_rate)

    def project(params, xs, key=None):
        carry = jax.eval_shape(lambda p: inner.init_carry(p, xs.shape[:-1]), params)
        rates = _by_leaf(lambda name: rate if name == "h" else carry_rate, carry)
        return {"u": inner.project(params, xs, key), "kept": _kept(key, rates, carry)}

    def step(params, carry, u):
        new, _ = inner.step(params, carry, u["u"])
        new = jax.tree.map(lambda kept, old, new: new + kept * (old - new), u["kept"], carry, new)
        return new, _hidden(new)

    return _observing(inner)._replace(project=project, step=step, diagonal=inner.diagonal)


def variational_dropout(
    hidden_dim: int,
    *,
    cell: str | Callable = "lstm",
    kwargs: dict | None = None,
    rate: float = 0.25,
    input_rate: float = 0.0,
) -> Cell:
    """Dropout of input and hidden state by one mask for all steps of a sequence (Gal and Ghahramani 2016).

    The features that remain are scaled up by 1 / (1 - rate). Without a key nothing is dropped. Raises as `zoneout`.

    Args:
      hidden_dim: h of the wrapped cell.
      cell: the wrapped cell: a name in `CELLS`, `"package.module:factory"`, or the factory.
      kwargs: other arguments of its factory.
      rate: probability of dropping a feature of the hidden state.
      input_rate: probability of dropping a feature of the input.

    Returns:
      The wrapped cell with dropout.
    """
    inner = _inner(cell, hidden_dim, kwargs)
    _check_hidden("variational_dropout", inner)
    _check_rates(rate=rate, input_rate=input_rate)

    def project(params, xs, key=None):
        key_input, key_hidden = (None, None) if key is None else jax.random.split(key)
        # One mask for all steps: time is the first axis, and stepwise decoding has no key.
        masked = xs * _left(key_input, input_rate, (*xs.shape[1:-1], xs.shape[-1]), xs.dtype)
        left = _left(key_hidden, rate, (*xs.shape[1:-1], inner.output_dim), xs.dtype)
        left = jnp.broadcast_to(left, (*xs.shape[:-1], inner.output_dim))
        return {"u": inner.project(params, masked, None if key is None else jax.random.fold_in(key, 2)), "left": left}

    def step(params, carry, u):
        dropped = _hidden(carry) * u["left"]
        carry = {**carry, "h": dropped} if isinstance(carry, Mapping) else dropped
        return inner.step(params, carry, u["u"])

    return _observing(inner)._replace(project=project, step=step, diagonal=inner.diagonal)


WRAPPERS: dict[str, Callable[..., Cell]] = {
    "residual": residual,
    "variational_dropout": variational_dropout,
    "zoneout": zoneout,
}


def _inner(cell: str | Callable, hidden_dim: int, kwargs: dict | None) -> Cell:
    factory, known = find(PLAIN | WRAPPERS, cell, "cell") if isinstance(cell, str) else cell, dict(kwargs or {})
    check_arguments(str(cell), factory, known)
    made = factory(hidden_dim, **known)
    if not isinstance(made, Cell):
        raise ValueError(f"{cell} makes a {type(made).__name__}, not a Cell")
    if made.output_dim > MOST_FEATURES:
        raise ValueError(f"{cell} has {made.output_dim} features, and {MOST_FEATURES} are the most")
    return made


def _observing(inner: Cell) -> Cell:
    """Return the wrapped cell without its structure, `observe` reading the "u" of a wrapper's input."""
    return inner._replace(
        observe=lambda params, carry, u: inner.observe(params, carry, u["u"]), structure=None, diagonal=False
    )


def _with_skip(structure: Gated | Affine | None) -> Gated | Affine | None:
    """Return the structure of a cell whose output has `skip` added to it."""
    if isinstance(structure, Gated):
        gated = structure

        def combine(params, carry, u, a):
            carry, y = gated.combine(params, carry, u["u"], a)
            return carry, y + u["skip"]

        return gated._replace(combine=combine, backward=None)
    if isinstance(structure, Affine):
        affine = structure
        return affine._replace(
            chunked=affine.chunked and _chunks_with_skip(affine.chunked),
            terms=lambda params, us: affine.terms(params, us["u"]),
            readout=lambda params, carries, us: affine.readout(params, carries, us["u"]) + us["skip"],
        )
    return None


def _chunks_with_skip(chunked: Chunked) -> Chunked:
    def gather(params, us, mask, resets):
        elements, rows = chunked.gather(params, us["u"], mask, resets)
        return elements, (rows, us["skip"])

    return Chunked(chunked.steps, gather, lambda rows, carry: chunked.outputs(rows[0], carry) + rows[1])


def _by_leaf(function: Callable[[str], Any], carry: Carry) -> PyTree:
    """Map `function(name)` over the leaves of a carry; a carry of one array is named "h"."""
    return jax.tree_util.tree_map_with_path(lambda path, _: function(path[-1].key if path else "h"), carry)


def _kept(key: Key | None, rates: PyTree, carry: PyTree) -> PyTree:
    """Draw 1 where a unit keeps its old value, else 0; without a key, return the rates."""
    if key is None:
        return jax.tree.map(lambda rate, leaf: jnp.full(leaf.shape, rate, leaf.dtype), rates, carry)
    leaves, structure = jax.tree.flatten(carry)
    drawn = [
        jax.random.bernoulli(k, rate, leaf.shape).astype(leaf.dtype)
        for k, rate, leaf in zip(jax.random.split(key, len(leaves)), jax.tree.leaves(rates), leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, drawn)


def _left(key: Key | None, rate: float, shape: tuple[int, ...], dtype) -> Array:
    """Draw a dropout mask: 0 with probability `rate`, else 1 / (1 - rate); all 1 without a key."""
    if key is None or not rate:
        return jnp.ones(shape, dtype)
    return jax.random.bernoulli(key, 1 - rate, shape).astype(dtype) / (1 - rate)


def _hidden(carry: Carry) -> Array:
    return carry["h"] if isinstance(carry, Mapping) else carry


def _check_hidden(name: str, cell: Cell) -> None:
    carry = jax.eval_shape(lambda key: cell.init_carry(cell.prepare(cell.init(key, 1)), ()), jax.random.key(0))
    hidden = carry.get("h") if isinstance(carry, Mapping) else carry
    fits = isinstance(hidden, jax.ShapeDtypeStruct) and hidden.shape == (cell.output_dim,)
    if not fits or not all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in jax.tree.leaves(carry)):
        raise ValueError(f"{name} needs a cell whose carry is its output, or a mapping whose 'h' is")


def _check_rates(**rates: float) -> None:
    for name, rate in rates.items():
        if not 0.0 <= rate < 1.0:
            raise ValueError(f"{name} must be at least 0 and below 1, got {rate}")
