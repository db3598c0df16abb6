"""Half-life of a gradient norm against lag, with its bootstrap interval."""

import warnings
from typing import NamedTuple

import numpy as np

from rnngen.diagnostics.checks import check_axes


class HalfLife(NamedTuple):
    """Number of steps over which a gradient norm halves.

    Attributes:
      steps: -1 / slope of log2 norm against lag; inf where the slope is not negative, nan where fewer than two norms
        are finite.
      low, high: its 95 % bootstrap interval over examples.
      first_lag, last_lag: the range of the fit.
      one_percent: the lag at which the norm has fallen to 1 % of that at first_lag; inf where it has not by last_lag.
    """

    steps: float
    low: float
    high: float
    first_lag: int
    last_lag: int
    one_percent: float


def half_life(log_norms: np.ndarray, first_lag: int = 0, last_lag: int | None = None, resamples: int = 200) -> HalfLife:
    """Fit the median over examples of log norms against lag, by least squares.

    Args:
      log_norms: natural logs of norms `[k, n]`, lags by examples; nan beyond the lags that an example reaches. Lag 0 is
        the step of the loss, so that `log_gradient_norms`, which go by t, are reversed: `norms[::-1]`.
      first_lag, last_lag: the range of the fit; last_lag defaults to the largest lag that at least half of the examples
        reach. The range ends earlier where the median norm is exactly zero.
      resamples: bootstrap draws of the interval.

    Returns:
      The half-life, its interval, and the range of the fit.

    Raises:
      ValueError: another number of axes, a negative lag, or nan that show that examples stand first, or t.
    """
    log_norms = np.asarray(log_norms, np.float64)
    check_axes("log_norms", log_norms, "lags, examples", "; did you mean log_norms.reshape(len(log_norms), -1)?")
    _check_order(np.isnan(log_norms))
    if first_lag < 0:
        raise ValueError(f"first_lag must not be negative, got {first_lag}")
    if last_lag is None:
        reached = np.flatnonzero(np.mean(~np.isnan(log_norms), axis=1) >= 0.5)
        last_lag = int(reached[-1]) if len(reached) else first_lag - 1
    window = log_norms[first_lag : last_lag + 1]
    curve = np.nanmedian(window, axis=1) if len(window) else np.zeros(0)
    finite = int(np.argmin(np.append(np.isfinite(curve), False)))
    last_lag = first_lag + finite - 1
    if finite < 2:
        return HalfLife(np.nan, np.nan, np.nan, first_lag, last_lag, np.nan)
    window, curve = window[:finite], curve[:finite]
    # Not `scipy.stats.bootstrap`, which has no place for draws without a slope; stored intervals are of these draws.
    draws = np.random.RandomState(0).randint(window.shape[1], size=(resamples, window.shape[1]))
    with warnings.catch_warnings():
        # A draw may hold none of the examples that reach a lag; its slope is nan, and does not count.
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        slopes = np.array([_slope(np.nanmedian(window[:, draw], axis=1)) for draw in draws])
    low, high = np.quantile(slopes[np.isfinite(slopes)], [0.025, 0.975]) if np.isfinite(slopes).any() else [np.nan] * 2
    fallen = curve <= curve[0] + np.log(0.01)
    one_percent = first_lag + float(np.argmax(fallen)) if fallen.any() else np.inf
    return HalfLife(_steps(_slope(curve)), _steps(low), _steps(high), first_lag, last_lag, one_percent)


def _check_order(absent: np.ndarray) -> None:
    """Raise ValueError where nan of `[k, n]` are not at the last lags, but would be in another order of the axes."""

    def last(absent):
        return bool((absent[1:] >= absent[:-1]).all())

    if last(absent):
        return
    turned = {"log_norms.T": absent.T, "log_norms[::-1]": absent[::-1], "log_norms.T[::-1]": absent.T[::-1]}
    meant = next((way for way, other in turned.items() if last(other)), None)
    if meant:
        raise ValueError(f"log_norms must be [lags, examples] with nan at the last lags only: did you mean {meant}?")


def _slope(curve: np.ndarray) -> float:
    """Fit the slope of log2 norm against lag; nan where a norm is exactly zero, or none is known."""
    if not np.isfinite(curve).all():
        return np.nan
    lags = np.arange(len(curve)) - (len(curve) - 1) / 2
    return float(lags @ (curve / np.log(2)) / (lags @ lags))


def _steps(slope: float) -> float:
    return np.inf if slope >= 0 else float(-1 / slope)
