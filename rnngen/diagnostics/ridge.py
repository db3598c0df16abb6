"""Ridge regressions of inputs on carries, scored on examples that they were not fitted to, with a noise floor."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.types import Array

# Of the mean variance of a direction of the carry.
PENALTIES = np.array([1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0], np.float32)
SHUFFLES = 19  # the best of these is beaten by chance once in twenty times
_WIDE = 64


def scores(carries: Array, targets: Array, weights: Array, left_out: Array, tokens: bool) -> tuple:
    """Score linear readouts of targets from carries: the fields of `memory.Memory` after `lags`.

    Args:
      carries: `[e, b, n]`.
      targets: `[e, b, d]`.
      weights: `[e, b]`, 1 where there is a pair.
      left_out: bool `[folds, b]`.
      tokens: targets are one-hot.
    """
    shifts = jnp.arange(1, min(SHUFFLES, targets.shape[1] - 1) + 1)

    def of_fold(out):
        fit, test = jnp.where(out, 0, weights), jnp.where(out, weights, 0)
        means = _means(carries, fit)
        # A step at which no other example has a pair has no mean to be compared with.
        test = jnp.where(fit.sum(axis=1, keepdims=True) > 0, test, 0)
        features = carries - means
        scale = jnp.sqrt(jnp.sum(fit[..., None] * features**2, axis=(0, 1)) / jnp.maximum(fit.sum(), 1))
        readout = _Readout(features / jnp.where(scale > 0, scale, 1), fit, test)
        others = lambda shift: readout.expected(jnp.roll(targets, shift, axis=1))  # noqa: E731
        shuffled = jax.lax.map(others, shifts, batch_size=_together(targets, len(shifts)))
        own = readout.tried(targets, tokens)
        return _Tried(*own, *shuffled, test.sum())  # type: ignore[call-arg]

    with jax.default_matmul_precision("highest"):
        tried = jax.tree.map(lambda x: x.sum(axis=0), jax.lax.map(of_fold, left_out))
    each = _share(tried.errors.min(axis=0), tried.total)
    pooled = _share(tried.errors.sum(axis=1), tried.total.sum())
    noise = _share(tried.shuffled.min(axis=1), tried.shuffled_total).max(axis=0)
    floor = _share(tried.shuffled.sum(axis=2), tried.shuffled_total.sum(axis=1)[:, None]).max()
    n = jnp.maximum(tried.pairs, 1)
    accuracy, chance = (tried.right[jnp.argmax(pooled)] / n, tried.common / n) if tokens else (None, None)
    above = jnp.where(each > noise, each, 0)
    return pooled.max(), floor, above, jnp.zeros(above.shape, bool), accuracy, chance, tried.pairs


class _Tried(NamedTuple):
    """Sums over the examples left out; d features, s shuffles.

    Attributes:
      errors, total: `[penalties, d]`, squared, and `[d]`, these of the mean.
      right, common: `[penalties]`, tokens that are the most probable, and [] these of the mean; 0 for floats.
      shuffled, shuffled_total: `[s, penalties, d]` and `[s, d]`, the errors on inputs of other examples.
      pairs: [], their number.
    """

    errors: Array
    total: Array
    right: Array
    common: Array
    shuffled: Array
    shuffled_total: Array
    pairs: Array


def _together(targets: Array, most: int) -> int:
    """Return how many regressions on targets `[e, b, d]` go through the features together: more, if d is small."""
    return min(most, max(1, _WIDE // targets.shape[2]))


def _means(values: Array, weights: Array) -> Array:
    """Return the means over examples with weight: `[e, b, n]` -> `[e, 1, n]`."""
    total = jnp.einsum("eb,ebn->en", weights, values) / jnp.maximum(weights.sum(axis=1), 1)[:, None]
    return total[:, None]


def _share(errors: Array, total: Array) -> Array:
    """Return R^2, 0 where an error exceeds the variance or there is none."""
    return jnp.where(total > 0, jnp.maximum(1 - errors / jnp.where(total > 0, total, 1), 0), 0)


class _Readout:
    """Ridge regressions on the same features, fitted to some examples and tried on others."""

    def __init__(self, features: Array, fit: Array, test: Array):
        self.features, self.fit, self.test = features, fit, test
        gram = jnp.einsum("eb,ebn,ebm->nm", fit, features, features)
        self.diagonal, self.beside, self.directions = _tridiagonal(gram)
        # Below n times the rounding, what is left of a direction is rounding.
        least = len(gram) * jnp.finfo(gram.dtype).eps
        penalties = jnp.maximum(jnp.asarray(PENALTIES, gram.dtype), least)
        self.penalties = penalties * jnp.maximum(jnp.trace(gram) / len(gram), 1e-30)
        covariance = jnp.einsum("eb,ebn,ebm->nm", test, features, features)
        self.covariance = self.directions.T @ covariance @ self.directions

    def weights(self, centred: Array) -> Array:
        """Return the readouts of targets `[e, b, d]` in the directions: `[penalties, n, d]`."""
        along = self.directions.T @ jnp.einsum("eb,ebn,ebd->nd", self.fit, self.features, centred)
        solve = lambda p: jax.lax.linalg.tridiagonal_solve(  # noqa: E731
            jnp.pad(self.beside, (1, 0)), self.diagonal + p, jnp.pad(self.beside, (0, 1)), along
        )
        return jax.vmap(solve)(self.penalties)

    def tried(self, targets: Array, tokens: bool) -> tuple[Array, Array, Array, Array]:
        """Return the errors and hits of `_Tried` for targets `[e, b, d]`."""
        means = _means(targets, self.fit)
        centred, turned = targets - means, self.features @ self.directions

        def of_penalty(weights):
            predicted = turned @ weights
            errors = jnp.einsum("eb,ebd->d", self.test, (centred - predicted) ** 2)
            return errors, self._right(means + predicted, targets) if tokens else jnp.zeros(())

        errors, right = jax.lax.map(of_penalty, self.weights(centred), batch_size=_together(targets, len(PENALTIES)))
        common = self._right(means, targets) if tokens else jnp.zeros(())
        return errors, jnp.einsum("eb,ebd->d", self.test, centred**2), right, common

    def expected(self, targets: Array) -> tuple[Array, Array]:
        """Return the errors of `tried` from covariances, without a prediction of each step."""
        centred = targets - _means(targets, self.fit)
        readout = self.weights(centred)
        along = self.directions.T @ jnp.einsum("eb,ebn,ebd->nd", self.test, self.features, centred)
        total = jnp.einsum("eb,ebd->d", self.test, centred**2)
        # Not `@`, which would make a copy of the covariance for each penalty.
        spread = jnp.einsum("nm,pmd->pnd", self.covariance, readout)
        return total + jnp.sum(readout * (spread - 2 * along), axis=1), total

    def _right(self, predicted: Array, targets: Array) -> Array:
        return jnp.sum(jnp.where(jnp.argmax(predicted, axis=-1) == jnp.argmax(targets, axis=-1), self.test, 0))


def _tridiagonal(matrix: Array) -> tuple[Array, Array, Array]:
    """Return T and Q of a symmetric matrix Q T Q^T: T by its diagonal `[n]` and what is beside it, `[n - 1]`.

    By Householder's reflections, once for all penalties. LAPACK's own threads, beside those of XLA, take many times as
    long on a machine with other work.
    """
    places = jnp.arange(len(matrix))

    def reflect(column, state):
        rest, directions = state
        below = jnp.where(places > column, rest[:, column], 0)
        first = below[column + 1]
        end = jnp.where(places == column + 1, jnp.where(first < 0, -1, 1) * jnp.linalg.norm(below), 0)
        mirror = below + end.astype(below.dtype)
        size = jnp.linalg.norm(mirror)
        mirror = mirror / jnp.where(size > 0, size, 1)
        turned = rest @ mirror
        turned = turned - (mirror @ turned) * mirror
        rest = rest - 2 * (jnp.outer(mirror, turned) + jnp.outer(turned, mirror))
        return rest, directions - 2 * jnp.outer(directions @ mirror, mirror)

    start = matrix, jnp.eye(len(matrix), dtype=matrix.dtype)
    rest, directions = jax.lax.fori_loop(0, len(matrix) - 2, reflect, start)
    return jnp.diagonal(rest), jnp.diagonal(rest, 1), directions
