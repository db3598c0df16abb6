"""Lyapunov exponents: at what rates small changes of the carry grow along a sequence."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnngen.cells import Cell
from rnngen.diagnostics.checks import check_count, check_warmup
from rnngen.diagnostics.vector_steps import VectorSteps
from rnngen.types import Array, Carry, Key, Params, PyTree


class LyapunovSpectrum(NamedTuple):
    """Lyapunov exponents in nats per step.

    exponents: `[*b, k]`, in the order of QR, which is descending up to the error of a finite sequence.
    running: `[t - warmup, *b, k]`, the estimate after each step; its last is `exponents`.
    """

    exponents: Array
    running: Array


def lyapunov_spectrum(
    cell: Cell,
    params: Params,
    xs: PyTree,
    count: int | None = None,
    carry: Carry | None = None,
    *,
    warmup: int = 0,
    mask: Array | None = None,
    resets: Array | None = None,
    key: Key | None = None,
) -> LyapunovSpectrum:
    """The `count` (None: all) largest Lyapunov exponents of a cell driven by xs `[t, *b, d]` (Benettin et al. 1980).

    A frame of k orthonormal vectors goes through the Jacobian of every step and QR, and the exponents are the means of
    log |r_ii| (Vogt et al. 2022; Engelken 2023). The carry counts as in `VectorSteps`. The first `warmup` steps align
    the frame only. Masked steps do not count; where there are no others the exponents are 0. A reset moves the carry
    but not the frame, so the mean runs over all sequences of a row. A direction that a step extinguishes counts
    there as the log of the smallest normal float.

    Differentiable in params, as gradient flossing needs; the gradient makes sense where all k directions survive.
    key: draws the first frame, default `jax.random.key(0)`.

    Raises ValueError for a count above the number of floats in an example's carry, and a warmup not below t.
    """
    steps = VectorSteps(cell, params, xs, carry, mask=mask, resets=resets)
    count = check_count(count, steps.size)
    check_warmup(warmup, steps.length)
    key = jax.random.key(0) if key is None else key
    frame = jax.random.orthogonal(key, steps.size, dtype=steps.dtype, m=count)

    def step(state, inputs):
        entering = steps.enter(state[0], inputs)
        after, pushed = steps.push(entering, inputs._replace(reset=None), state[1])
        frame, growth = orthonormalise(pushed)
        return (after, frame), growth

    start = steps.carry, jnp.broadcast_to(frame, (*steps.batch, *frame.shape))
    running = _running_mean(jax.lax.scan(step, start, steps.inputs)[1][warmup:], steps.inputs.mask, warmup)
    return LyapunovSpectrum(running[-1], running)


def _running_mean(growth: Array, mask: Array | None, warmup: int) -> Array:
    """Means over the existing steps so far: `[t, *b, k]` -> the same."""
    exists = jnp.ones(growth.shape[:-1], bool) if mask is None else mask[warmup:]
    counts = jnp.maximum(jnp.cumsum(exists, axis=0), 1).astype(growth.dtype)
    return jnp.cumsum(jnp.where(exists[..., None], growth, 0), axis=0) / counts[..., None]


@jax.custom_jvp
def orthonormalise(columns: Array) -> tuple[Array, Array]:
    """QR of `[*b, n, k]`: the orthonormal columns, and log |r_ii| `[*b, k]`, finite also where r_ii is zero."""
    frame, triangle = jnp.linalg.qr(columns)
    return frame, _log_diagonal(triangle)[0]


@orthonormalise.defjvp
def _orthonormalise_jvp(primals, tangents):
    """With M = Q^T dY R^-1, whose strict lower triangle is that of Q^T dQ: d log |r_ii| = M_ii."""
    frame, triangle = jnp.linalg.qr(*primals)
    logs, zero = _log_diagonal(triangle)
    # Any other pivot in place of a zero one: nothing depends on it, but the solve would give NaN.
    solvable = triangle + zero[..., None] * jnp.eye(zero.shape[-1], dtype=triangle.dtype)
    moved = jax.lax.linalg.triangular_solve(solvable, *tangents, left_side=False, lower=False)
    inner = jnp.swapaxes(frame, -1, -2) @ moved
    below = jnp.tril(inner, -1)
    dframe = moved - frame @ (inner - below + jnp.swapaxes(below, -1, -2))
    dlogs = jnp.diagonal(inner, axis1=-2, axis2=-1)
    return (frame, logs), (dframe, (1 - zero) * dlogs)


def _log_diagonal(triangle: Array) -> tuple[Array, Array]:
    """log |r_ii|, and 1.0 where r_ii is zero."""
    diagonal, tiny = jnp.abs(jnp.diagonal(triangle, axis1=-2, axis2=-1)), jnp.finfo(triangle.dtype).tiny
    zero = diagonal < tiny
    return jnp.log(jnp.where(zero, tiny, diagonal)), zero.astype(triangle.dtype)
