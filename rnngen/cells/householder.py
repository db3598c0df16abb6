"""Many steps of the delta rule as a few matrix products: the WY form of Bischof and Van Loan 1987 (Yang et al. 2024).

Within a chunk of c steps, each with m keys, write i puts w_i along its key k_i. With d_ij what the gates leave of
write j at write i, d_i what they leave of S, and T = (I + tril(beta_i d_ij k_i^T k_j, -1))^-1, which is lower
triangular, W = T (beta V) - T (beta d K) S. So S' and the outputs are affine in the S that enters the chunk.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnngen.cells.chunks import begun, turned
from rnngen.types import Array, PyTree, at_least_float32


def gather(us: PyTree, mask: Array | None, resets: Array | None) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Compose the steps of each chunk.

    Args:
      us: `k [n, c, *b, m, k]`, `v [n, c, *b, m, h]`, `beta [n, c, *b, m]`, `q [n, c, *b, k]`, and with a gate
        `log_alpha [n, c, *b, 1]`, of n chunks.
      mask: bool `[n, c, *b]`; where False a step is none; or None.
      resets: bool `[n, c, *b]`; where True the memory is emptied before the step; or None.

    Returns:
      (A, B) of each chunk, `[n, *b, k, k]` and `[n, *b, k, h]`; and (R, Y), `[n, *b, c, k]` and `[n, *b, c, h]`, with
      the outputs R S + Y.
    """
    dtype, us = us["q"].dtype, {name: at_least_float32(u) for name, u in us.items()}
    count, factors = us["q"].shape[1], us["beta"].shape[-1]
    keys, values = (_writes(us[name], 3) for name in "kv")
    beta, queries = _writes(us["beta"], 2), jnp.moveaxis(us["q"], 1, -2)
    gates = jnp.moveaxis(us["log_alpha"][..., 0], 1, -1) if "log_alpha" in us else jnp.zeros(count, beta.dtype)
    if mask is not None:
        there = jnp.moveaxis(mask, 1, -1)
        beta, gates = jnp.where(jnp.repeat(there, factors, -1), beta, 0), jnp.where(there, gates, 0)
    steps = _Places(jnp.arange(count), jnp.cumsum(gates, axis=-1), begun(count, resets))
    writes = _Places(*(jnp.repeat(x, factors, axis=-1) for x in steps))

    pairs = jnp.where(jnp.tri(len(writes.time), k=-1, dtype=bool), _left(writes, writes), 0)
    solved = inverse(beta[..., None] * pairs * (keys @ turned(keys)))
    # W = added - removed S.
    added, removed = solved @ (beta[..., None] * values), solved @ ((beta * _kept(writes))[..., None] * keys)
    seen = _left(steps, writes) * (queries @ turned(keys))
    last = turned(_left(_Places(*(x[..., -1:] for x in steps)), writes)) * keys
    whole = _kept(steps)[..., -1, None, None] * jnp.eye(keys.shape[-1], dtype=keys.dtype)
    element = whole - turned(last) @ removed, turned(last) @ added
    rows = _kept(steps)[..., None] * queries - seen @ removed, seen @ added
    return jax.tree.map(lambda x: x.astype(dtype), (element, rows))


def outputs(rows: tuple[Array, Array], memory: Array) -> Array:
    """Compute the outputs of a chunk.

    Args:
      rows: (R, Y) of it.
      memory: S `[*b, k, h]` that enters it.

    Returns:
      ys `[c, *b, h]`.
    """
    return jnp.moveaxis(rows[0] @ memory + rows[1], -2, 0)


class _Places(NamedTuple):
    """Steps or writes of a chunk: time, the sum of the logarithms of the gates so far, and how often it began anew."""

    time: Array
    gates: Array
    begun: Array


def _left(at: _Places, of: _Places) -> Array:
    """Return what is left at some places of what others wrote, `[..., at, of]`; 0 before it and after a new start."""
    holds = (at.time[:, None] >= of.time[None, :]) & (at.begun[..., :, None] == of.begun[..., None, :])
    lost = at.gates[..., :, None] - of.gates[..., None, :]
    return jnp.where(holds, jnp.exp(jnp.where(holds, lost, 0)), 0)


def _kept(at: _Places) -> Array:
    """Return what is left of the memory that enters the chunk."""
    return jnp.where(at.begun == 0, jnp.exp(at.gates), 0)


def _writes(x: Array, tail: int) -> Array:
    """Put the writes of a chunk `[n, c, *b, m, ...]` in a row, `[n, *b, c*m, ...]`; tail: the axes from there."""
    x = jnp.moveaxis(x, 1, -tail)
    places = x.ndim - tail
    return x.reshape(*x.shape[:places], -1, *x.shape[places + 2 :])


@jax.custom_jvp
def inverse(below: Array) -> Array:
    """Invert I + N for a strictly lower triangular N, block by block; not by a power series, whose terms may be huge.

    Args:
      below: N `[..., n, n]`.

    Returns:
      The inverse `[..., n, n]`.
    """
    size = below.shape[-1]
    if size == 1:
        return jnp.ones_like(below)
    half = size // 2
    first, last = inverse(below[..., :half, :half]), inverse(below[..., half:, half:])
    corner = -last @ below[..., half:, :half] @ first
    empty = jnp.zeros_like(turned(corner))
    return jnp.concatenate(
        [jnp.concatenate([first, empty], axis=-1), jnp.concatenate([corner, last], axis=-1)], axis=-2
    )


@inverse.defjvp
def _inverse_derivative(primals, tangents):
    found = inverse(*primals)
    return found, -found @ tangents[0] @ found
