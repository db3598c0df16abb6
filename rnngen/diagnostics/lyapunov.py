"""Lyapunov exponents: the rates at which small changes of the carry grow along a sequence."""

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.cells import Cell
from rnngen.diagnostics.checks import check_count, check_warmup
from rnngen.diagnostics.diagnosis import Diagnosis, Kind, first_examples, flags, spread
from rnngen.diagnostics.vector_steps import VectorSteps
from rnngen.models import stepwise
from rnngen.plotting.figure import RANGE, Look, figure
from rnngen.plotting.records import CURVE, before_and_after, diagnosed
from rnngen.types import Array, Carry, Key, Params, PyTree, check_positive

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class LyapunovSpectrum(NamedTuple):
    """Lyapunov exponents in nats per step.

    Attributes:
      exponents: `[*b, k]`, in the order of QR, which is descending up to the error of a finite sequence.
      running: `[t - warmup, *b, k]`, the estimate after each step; its last is `exponents`.
    """

    exponents: Array
    running: Array


def lyapunov_spectrum_diagnosis(exponents: int = 0, warmup: int = 0, examples: int = 4) -> Diagnosis:
    """The first Lyapunov exponents along the batch's sequences, in nats a step, and how they converge.

    Args:
      exponents: how many, from the largest; 0: all.
      warmup: steps at the start that align the frame only.
      examples: of the batch, from the first.

    Returns:
      The diagnosis.
    """
    check_positive(examples=examples)

    def measure(model, params, batch, task):
        few = first_examples(batch, examples)
        return lyapunov_spectrum(
            stepwise(model).cell, params, few.inputs, exponents or None, warmup=warmup, **flags(few)
        )._asdict()

    def record(found):
        running = found["running"]
        some = np.unique(np.geomspace(1, len(running), 20).round().astype(int)) - 1
        return {
            "exponents": spread(found["exponents"].T),
            "steps": (some + 1).tolist(),
            "running": np.median(running[some], axis=1).tolist(),
        }

    def check(size, length):
        check_count(exponents or None, size)
        check_warmup(warmup, length)

    return Diagnosis(measure, record, check)


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
    """Measure the largest Lyapunov exponents of a cell driven by a sequence (Benettin et al. 1980).

    A frame of k orthonormal vectors goes through the Jacobian of every step and QR, and the exponents are the means of
    log |r_ii| (Vogt et al. 2022; Engelken 2023). The carry counts as in `VectorSteps`. Masked steps do not count; where
    there are no others the exponents are 0. A reset moves the carry but not the frame, so the mean runs over all
    sequences of a row. A direction that a step extinguishes counts there as the log of the smallest normal float.

    Differentiable in params, as gradient flossing needs; the gradient makes sense where all k directions survive.

    Args:
      cell, params, xs, carry, mask, resets: as in `unroll`.
      count: k, the number of exponents; None: all.
      warmup: steps at the start that align the frame only.
      key: draws the first frame; default: `jax.random.key(0)`.

    Returns:
      The exponents, per step, in order.

    Raises:
      ValueError: a count above the number of floats in an example's carry, or a warmup that leaves no step.
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
    # A scan of its own, since a frame goes from step to step beside the carry.
    growth = jax.lax.scan(step, start, steps.inputs)[1]
    running = _running_mean(growth[warmup:], steps.inputs.mask, warmup)
    return LyapunovSpectrum(running[-1], running)


def _running_mean(growth: Array, mask: Array | None, warmup: int) -> Array:
    """Average over the unmasked steps so far: `[t, *b, k]` -> the same."""
    exists = jnp.ones(growth.shape[:-1], bool) if mask is None else mask[warmup:]
    counts = jnp.maximum(jnp.cumsum(exists, axis=0), 1).astype(growth.dtype)
    return jnp.cumsum(jnp.where(exists[..., None], growth, 0), axis=0) / counts[..., None]


@jax.custom_jvp
def orthonormalise(columns: Array) -> tuple[Array, Array]:
    """Decompose `[*b, n, k]` by QR: orthonormal columns, and log |r_ii| `[*b, k]`, finite even where r_ii is zero."""
    frame, triangle = jnp.linalg.qr(columns)
    return frame, _log_diagonal(triangle)[0]


@orthonormalise.defjvp
def _orthonormalise_jvp(primals, tangents):
    """Differentiate: with M = Q^T dY R^-1, whose strict lower triangle is that of Q^T dQ, d log |r_ii| = M_ii."""
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
    """Return log |r_ii|, and 1.0 where r_ii is zero."""
    diagonal, tiny = jnp.abs(jnp.diagonal(triangle, axis1=-2, axis2=-1)), jnp.finfo(triangle.dtype).tiny
    zero = diagonal < tiny
    return jnp.log(jnp.where(zero, tiny, diagonal)), zero.astype(triangle.dtype)


@figure("Lyapunov exponents", f"Exponents in order, before and after training. {RANGE}")
def lyapunov_spectra(sweep: Any, look: Look) -> "Figure":
    """Draw Lyapunov exponents in order, before and after training (Vogt et al. 2022)."""

    def values(row):
        exponents = row["exponents"]["median"]
        return {(number + 1) / len(exponents): value for number, value in enumerate(exponents)}

    rows = diagnosed(sweep, "lyapunov_spectrum", {"exponents": CURVE})
    x, y = "index of the exponent / number of exponents", "exponent (nats per step)"
    return before_and_after(sweep, look, rows, values, xlabel=x, ylabel=y)


DIAGNOSIS = Kind("lyapunov_spectrum", lyapunov_spectrum_diagnosis, lyapunov_spectra)
