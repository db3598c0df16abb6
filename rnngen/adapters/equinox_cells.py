"""Equinox's recurrent cells as cells of rnngen. Needs the extra `equinox`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from rnngen.cells import Cell
from rnngen.registry import check_arguments, find
from rnngen.types import Array, Carry, Key, Params, check_positive


def equinox_cell(hidden_dim: int, *, cell: str = "LSTMCell", kwargs: dict | None = None) -> Cell:
    """Adapt a cell of `eqx.nn`, by the name of its class.

    Args:
      hidden_dim: h, the number of units.
      cell: `LSTMCell` or `GRUCell`, or a `"package.module:Class"` with the same interface.
      kwargs: the other arguments of the class.

    Returns:
      The cell.

    Raises:
      ValueError: the class or an argument is unknown, or Equinox is not installed.
    """
    check_positive(hidden_dim=hidden_dim)
    eqx, options = _equinox(), dict(kwargs or {})
    made = find({"GRUCell": eqx.nn.GRUCell, "LSTMCell": eqx.nn.LSTMCell}, cell, "equinox cell")
    check_arguments(cell, made, options)
    # An LSTM's hidden state is a pair, and its output the first of them.
    zeros = jnp.zeros(hidden_dim)
    start = (zeros, zeros) if cell == "LSTMCell" else zeros
    return from_equinox(lambda input_dim, key: made(input_dim, hidden_dim, **options, key=key), start)


def from_equinox(make: Callable[[int, Key], Any], start: Carry) -> Cell:
    """Adapt a cell of Equinox as pure functions of its arrays.

    Args:
      make: (input_dim, key) -> a module that computes (x `[d]`, carry) -> carry; its float arrays are parameters.
      start: an example's initial carry; its first leaf is the output, `[h]`.

    Returns:
      The cell.

    Raises:
      ValueError: Equinox is not installed.
    """
    eqx = _equinox()

    def parts(input_dim: int) -> tuple[list[str], Any]:
        """Return (names of the parameters, the module without them)."""
        shapes = eqx.filter_eval_shape(make, input_dim, jax.random.key(0))
        floats, rest = eqx.partition(shapes, _is_float)
        paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(floats)]
        return [_name(path) for path in paths], (jax.tree.structure(floats), rest)

    def init(key: Key, input_dim: int) -> Params:
        floats = eqx.filter(make(input_dim, key), _is_float)
        return dict(zip(parts(input_dim)[0], jax.tree.leaves(floats), strict=True))

    def module(params: Params, input_dim: int) -> Any:
        names, (structure, rest) = parts(input_dim)
        return eqx.combine(jax.tree.unflatten(structure, [params[name] for name in names]), rest)

    def init_carry(params: Params, batch_shape: tuple[int, ...]) -> Carry:
        dtype = jax.tree.leaves(params)[0].dtype
        return jax.tree.map(lambda s: jnp.broadcast_to(s, (*batch_shape, *s.shape)).astype(dtype), start)

    def step(params: Params, carry: Carry, u: Array) -> tuple[Carry, Array]:
        one = module(params, u.shape[-1])
        for _ in range(u.ndim - 1):  # a module takes no batch axes
            one = jax.vmap(one)
        carry = one(u, carry)
        return carry, jax.tree.leaves(carry)[0]

    return Cell(init, init_carry, step, jax.tree.leaves(start)[0].shape[-1])


def _is_float(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.floating)


def _name(path: tuple) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _equinox():
    try:
        import equinox
    except ImportError as error:
        raise ValueError("equinox is not installed: pip install 'rnngen[equinox]'") from error
    return equinox
