"""Matrices whose singular values leave the range of floats: rows with a power of two each, so that no scale is lost.

A product of many Jacobians is stored as `Q diag(2^e) rows` with Q orthogonal and rows of norm about one, the graded QR
of stabilised matrix products (Loh et al. 1989, for quantum Monte Carlo). Exponents are whole numbers, which floats
hold exactly: however long the product, its scale gathers no rounding.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnngen.types import Array

_SWEEPS = 20


class Graded(NamedTuple):
    """The matrix `diag(2^exponents) rows`: whole numbers `[n]`, or -inf where a row is zero, and `[n, n]`."""

    exponents: Array
    rows: Array


def identity(size: int, dtype) -> Graded:
    """Return the identity matrix."""
    return Graded(jnp.zeros(size, dtype), jnp.eye(size, dtype=dtype))


def multiply(left: Array, graded: Graded) -> Graded:
    """Compute `left @ graded` for a matrix `[n, n]`; entries of `left` below the smallest normal float are zeros."""
    tiny = jnp.finfo(left.dtype).tiny
    size = jnp.where(jnp.abs(left) < tiny, -jnp.inf, jnp.ceil(jnp.log2(jnp.abs(left))))
    top = _finite(jnp.max(size + graded.exponents, axis=1))
    # Where left is zero, its power of two may overflow.
    scaled = jnp.where(jnp.isneginf(size), 0, left * jnp.exp2(graded.exponents - top[:, None]))
    rows = jnp.matmul(scaled, graded.rows, precision="highest")
    norm = jnp.round(jnp.log2(jnp.linalg.norm(rows, axis=1)))
    return Graded(top + norm, rows * jnp.exp2(-_finite(norm))[:, None])


def log_singular_values(graded: Graded) -> Array:
    """Compute the logs of the singular values `[n]`, descending; -inf for an exact zero, all NaN if there is any NaN.

    One-sided Jacobi (Hestenes 1958) on unit rows and the logs of their norms: small singular values come out to as many
    digits as large ones, and equal ones do no harm. Two transpositions by QR bring it close beforehand.
    """
    size, dtype = len(graded.exponents), graded.rows.dtype
    for _ in range(2):
        triangle = jnp.linalg.qr(graded.rows.T)[1]
        graded = multiply(triangle, Graded(graded.exponents, identity(size, dtype).rows))
    top = _finite(jnp.max(graded.exponents))
    padding = jnp.zeros((size % 2, size), dtype)
    norms, rows = _normalise(jnp.concatenate([graded.rows, padding]))
    logs = jnp.log(2.0).astype(dtype) * (graded.exponents - top)
    logs = jnp.concatenate([logs, jnp.zeros(size % 2, dtype)]) + norms

    def unfinished(state):
        return (state[2] > size * jnp.finfo(dtype).eps) & (state[3] < _SWEEPS)

    logs, *_ = jax.lax.while_loop(unfinished, _sweep, (logs, rows, jnp.asarray(jnp.inf, dtype), 0))
    found = jnp.flip(jnp.sort(logs))[:size] + jnp.log(2.0).astype(dtype) * top
    return jnp.where(jnp.any(jnp.isnan(logs)), jnp.nan, found)


def _sweep(state):
    """Rotate every pair of rows once, half of the rows at a time; return also the largest |cosine| within a pair."""
    logs, rows, _, count = state
    order = _next_round(len(logs))

    def meet(_, state):
        logs, rows, worst = state
        halves = zip(jnp.split(logs, 2), jnp.split(rows, 2), strict=True)
        logs, rows, cosines = _rotate(*halves)
        return logs[order], rows[order], jnp.maximum(worst, jnp.max(jnp.abs(cosines)))

    logs, rows, worst = jax.lax.fori_loop(0, len(logs) - 1, meet, (logs, rows, jnp.zeros((), rows.dtype)))
    return logs, rows, worst, count + 1


def _next_round(players: int) -> Array:
    """Return the permutation of a round robin of pairs (i, i + half): the first stays, the rest rotate."""
    half = players // 2
    ring = [*range(1, half), *range(players - 1, half - 1, -1)]
    after = list(range(players))
    for place, came in zip(ring, ring[-1:] + ring[:-1], strict=True):
        after[place] = came
    return jnp.asarray(after)


def _rotate(first, second):
    """Rotate pairs of rows, each (log norm `[m]`, unit row `[m, n]`), in their plane until orthogonal."""
    swap = first[0] < second[0]
    (log_x, x), (log_y, y) = _swap(swap, first, second)
    cosine = jnp.sum(x * y, axis=1)
    gap = jnp.where(jnp.isneginf(log_y), -jnp.inf, log_y - log_x)
    square, difference = jnp.exp(2 * gap), -jnp.expm1(2 * gap)
    # The tangent of the angle over exp(gap), which stays finite however small exp(gap) is.
    below = difference + jnp.sqrt(difference**2 + 4 * square * cosine**2)
    tangent = 2 * cosine / jnp.where(below > 0, below, 1)
    shrink = -0.5 * jnp.log1p(square * tangent**2)
    grown_x, new_x = _normalise(x + (square * tangent)[:, None] * y)
    grown_y, new_y = _normalise(y - tangent[:, None] * x)
    pairs = (log_x + shrink + grown_x, new_x), (log_y + shrink + grown_y, new_y)
    logs, rows = zip(*_swap(swap, *pairs), strict=True)
    return jnp.concatenate(logs), jnp.concatenate(rows), cosine


def _swap(swap: Array, first, second):
    def choose(a, b):
        return jax.tree.map(lambda x, y: jnp.where(swap.reshape(-1, *(1,) * (x.ndim - 1)), y, x), a, b)

    return choose(first, second), choose(second, first)


def _normalise(rows: Array) -> tuple[Array, Array]:
    """Return the logs of the rows' norms, and the rows with norm one; zeros stay."""
    norms = jnp.linalg.norm(rows, axis=1)
    return jnp.log(norms), rows / jnp.where(norms == 0, 1, norms)[:, None]


def _finite(exponents: Array) -> Array:
    """Replace -inf by 0, as the reference of a row of zeros."""
    return jnp.where(jnp.isneginf(exponents), 0, exponents)
