"""Fixed points and slow points of a trained cell under a constant input (Sussillo and Barak 2013).

The dynamics linger where the speed |F(h) - h| of the carry has a local minimum. Their linearisation there tells which
directions decay, grow or rotate, and how fast.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from rnngen.cells import Cell
from rnngen.diagnostics.vector_steps import VectorSteps
from rnngen.types import Array, Params, check_positive


class FixedPoints(NamedTuple):
    """Minima of the speed, the slowest first.

    states: `[m, n]`. speeds: `[m]`, |F(h) - h|. eigenvalues: `[m, n]`, complex, of dF/dh, the largest modulus first.
    nearest: `[m]`, the distance to the nearest starting state of the search.
    """

    states: np.ndarray
    speeds: np.ndarray
    eigenvalues: np.ndarray
    nearest: np.ndarray

    @property
    def stable(self) -> np.ndarray:
        """bool `[m]`: every direction decays."""
        return np.abs(self.eigenvalues[:, 0]) < 1

    def time_constants(self) -> np.ndarray:
        """Compute -1 / log |eigenvalue| in steps, `[m, n]`; negative where a direction grows."""
        with np.errstate(divide="ignore"):
            return -1 / np.log(np.abs(self.eigenvalues))


def constant_input(cell: Cell, params: Params, x: Array) -> Callable[[Array], Array]:
    """Return the step on the carry's vector `[n]` (see `VectorSteps`) under the input x `[d]`.

    Integers in the carry stay at their initial values.
    """
    steps = VectorSteps(cell, params, jax.tree.map(lambda leaf: leaf[None], x))
    inputs = jax.tree.map(lambda u: u[0], steps.inputs)
    step = steps.vector_step(steps.carry, inputs)[1]
    return lambda vector: step(vector)[0]


def fixed_points(
    step: Callable[[Array], Array],
    starts: np.ndarray,
    *,
    slowest: float = np.inf,
    apart: float = 1e-3,
    most: int = 50,
) -> FixedPoints:
    """Find minima of |step(h) - h| by least squares (Levenberg and Marquardt), in double precision.

    Args:
      step: (h `[n]`) -> h `[n]`.
      starts: states `[s, n]` from which the search begins.
      slowest: faster minima are left out; a fixed point has a speed near rounding, a slow point more.
      apart: two minima are the same where they are nearer than this times 1 + |h|.
      most: the number of minima to return.

    Raises:
      ValueError: starts of another shape, or a size that is not positive.
    """
    starts = np.asarray(starts, np.float64)
    if starts.ndim != 2 or not starts.size:
        raise ValueError(f"starts must be states [s, n], got {list(starts.shape)}")
    check_positive(most=most)
    move = jax.jit(lambda h: step(h) - h)
    slope = jax.jit(jax.jacfwd(lambda h: step(h) - h))
    found = [_minimum(move, slope, start) for start in starts]
    kept = sorted((f for f in found if f is not None and f[1] <= slowest), key=lambda f: f[1])
    states: list[np.ndarray] = []
    for state, _ in kept:
        if all(np.linalg.norm(state - other) > apart * (1 + np.linalg.norm(state)) for other in states):
            states.append(state)
    return _described(move, slope, np.array(states[:most]).reshape(-1, starts.shape[1]), starts)


def _minimum(move: Callable, slope: Callable, start: np.ndarray) -> tuple[np.ndarray, float] | None:
    """Return (state, speed) at a minimum of the speed near a start; None where none was reached."""
    from scipy.optimize import least_squares  # here: its import takes longer than most of what uses this package

    if not np.isfinite(np.asarray(move(start))).all():
        return None
    found = least_squares(
        lambda h: np.asarray(move(h)),
        start,
        lambda h: np.asarray(slope(h)),
        method="lm",
        xtol=1e-13,
        ftol=1e-13,
        gtol=1e-13,
    )
    return (found.x, float(np.linalg.norm(found.fun))) if found.success and np.isfinite(found.x).all() else None


def _described(move: Callable, slope: Callable, states: np.ndarray, starts: np.ndarray) -> FixedPoints:
    size = starts.shape[1]
    speeds = np.array([np.linalg.norm(np.asarray(move(h))) for h in states])
    values = np.array([np.linalg.eigvals(np.asarray(slope(h)) + np.eye(size)) for h in states], complex)
    values = values.reshape(-1, size)
    order = np.argsort(-np.abs(values), axis=1, kind="stable")
    distance = np.linalg.norm(states[:, None] - starts[None], axis=-1)
    return FixedPoints(states, speeds, np.take_along_axis(values, order, 1), distance.min(axis=1, initial=np.inf))
