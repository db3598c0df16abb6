"""How far back a gradient reaches: its norm against lag from single sources, and the half-life of that curve.

With a loss at every step, the gradient at step t mixes near and far. So the loss is read at one step
tau at a time, and the norm is taken against the lag tau - t.
"""

import warnings
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.diagnostics.checks import check_axes
from rnngen.diagnostics.gradient_flow import gradient_flow, summed_loss, weighed_at
from rnngen.diagnostics.log_norms import log_gradient_norms, log_norms_of
from rnngen.models.layers import BACKWARD
from rnngen.models.stack import Model
from rnngen.tasks import Task
from rnngen.types import Array, Batch, Params


class HalfLife(NamedTuple):
    """Over how many steps a gradient norm halves.

    steps: -1 / slope of log2 norm against lag; inf where the slope is not negative, nan where fewer
      than two norms are finite. low, high: its 95 % bootstrap interval over examples.
    first_lag, last_lag: the range of the fit. one_percent: the lag at which the norm has fallen to
      1 % of that at first_lag; inf where it has not by last_lag.
    """

    steps: float
    low: float
    high: float
    first_lag: int
    last_lag: int
    one_percent: float


def lag_norms(model: Model, params: Params, batch: Batch, task: Task, num_sources: int = 1) -> dict[str, Array]:
    """Natural logs of gradient norms against lag: `layer_0/h` and the like -> `[sources, k, b]`.

    Lag 0 is the source's own step. Where a model reads both ways, a layer has `layer_0/forward/h` and
    `layer_0/backward/h`, the second against the steps from the source to a later one, and `all` is over both; norms
    below the smallest float are then exact zeros.
    Each example's sources are `num_sources` steps spread evenly over those with weight, the last among
    them. nan where a lag reaches beyond the start of the sequence, inf where the gradient is infinite or no number. The
    batch has one batch axis.
    """
    steps = batch.weights.shape[0]

    def against_lag(source):
        at_source = weighed_at(batch, source)
        lags = jnp.arange(steps)[:, None]
        if model.both_ways:
            return _both_ways(model, params, at_source, task, source, lags)
        options = {"mask": batch.existing(), "resets": batch.resets}
        norms = log_gradient_norms(model.cell, params, batch.inputs, summed_loss(task, at_source), **options)
        return {_leaf_name(name, 1): _taken(norm, source - lags) for name, norm in norms.items()}

    return jax.lax.map(against_lag, source_steps(batch.weights, num_sources))


def _both_ways(model: Model, params: Params, batch: Batch, task: Task, source: Array, lags: Array) -> dict[str, Array]:
    """`lag_norms` from one source, by a plain backward pass: such a model has no step to rescale at."""
    norms = log_norms_of(gradient_flow(model, params, batch, task), batch.weights.shape[1:])
    away = {name: source + lags if f"/{BACKWARD}" in name else source - lags for name in norms}
    by_lag = {_leaf_name(name, 2): _taken(norm, away[name]) for name, norm in norms.items() if name != "all"}
    each = jnp.stack(list(by_lag.values()))
    absent = jnp.isnan(each)
    everything = 0.5 * jax.nn.logsumexp(jnp.where(absent, -jnp.inf, 2 * each), axis=0)
    return by_lag | {"all": jnp.where(absent.all(axis=0), jnp.nan, everything)}


def _taken(norms: Array, places: Array) -> Array:
    """Norms `[t, b]` at places `[k, b]`; nan outside of the sequence, inf where a norm is no number."""
    inside = (places >= 0) & (places < len(norms))
    norms = jnp.where(jnp.isnan(norms), jnp.inf, norms)
    return jnp.where(inside, jnp.take_along_axis(norms, jnp.where(inside, places, 0), axis=0), jnp.nan)


def _leaf_name(name: str, depth: int) -> str:
    """A layer, or its direction, whose carry is one array names it `h`, as a cell does."""
    return name if name == "all" or name.count("/") >= depth else f"{name}/h"


def source_steps(weights: Array, num_sources: int) -> Array:
    """`[t, b]` -> `[sources, b]`: evenly spread steps among those with weight, ending with the last."""
    rank = jnp.cumsum((weights > 0).astype(jnp.int32), axis=0)
    wanted = [-(-(j + 1) * rank[-1] // num_sources) for j in range(num_sources)]
    return jnp.stack([jnp.argmax(rank >= w, axis=0) for w in wanted])


def half_life(log_norms: np.ndarray, first_lag: int = 0, last_lag: int | None = None, resamples: int = 200) -> HalfLife:
    """Fit the median over examples of natural-log norms `[k, n]`, lags by examples, by least squares over some lags.

    Lag 0 is the step of the loss, so `log_gradient_norms`, by t, is turned round: `norms[::-1]`. nan: beyond the lags
    that an example reaches. last_lag: default the largest lag that at least half of the examples reach. The range ends
    earlier where the median norm is exactly zero.

    Raises ValueError for another number of axes, a negative lag, and nan that show that examples stand first, or t.
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
    draws = np.random.RandomState(0).randint(window.shape[1], size=(resamples, window.shape[1]))
    with warnings.catch_warnings():
        # A draw may hold none of the examples that reach a lag; its slope is no number, and does not count.
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        slopes = np.array([_slope(np.nanmedian(window[:, draw], axis=1)) for draw in draws])
    low, high = np.quantile(slopes[np.isfinite(slopes)], [0.025, 0.975]) if np.isfinite(slopes).any() else [np.nan] * 2
    fallen = curve <= curve[0] + np.log(0.01)
    one_percent = first_lag + float(np.argmax(fallen)) if fallen.any() else np.inf
    return HalfLife(_steps(_slope(curve)), _steps(low), _steps(high), first_lag, last_lag, one_percent)


def _check_order(absent: np.ndarray) -> None:
    """Raise ValueError where what is absent of `[k, n]` is not at the last lags, but would be the other way round."""

    def last(absent):
        return bool((absent[1:] >= absent[:-1]).all())

    if last(absent):
        return
    turned = {"log_norms.T": absent.T, "log_norms[::-1]": absent[::-1], "log_norms.T[::-1]": absent.T[::-1]}
    meant = next((way for way, other in turned.items() if last(other)), None)
    if meant:
        raise ValueError(f"log_norms must be [lags, examples] with nan at the last lags only: did you mean {meant}?")


def _slope(curve: np.ndarray) -> float:
    """Least-squares slope of log2 norm against lag; nan where a norm is exactly zero, or none is known."""
    if not np.isfinite(curve).all():
        return np.nan
    lags = np.arange(len(curve)) - (len(curve) - 1) / 2
    return float(lags @ (curve / np.log(2)) / (lags @ lags))


def _steps(slope: float) -> float:
    return np.inf if slope >= 0 else float(-1 / slope)


def flow_record(norms: dict[str, np.ndarray]) -> dict:
    """What a figure or table needs of `lag_norms`, name -> `[sources, k, b]`, as plain lists and numbers.

    curves: name -> median, low and high (10 and 90 %) over examples and sources of the log10 norm, by
    lag. half_life: name -> the fields of `HalfLife`. not_finite: the share of all norms that are infinite or no number;
    in the curves they count as larger than any other. Raises ValueError for norms of another number of axes.
    """
    for name, norm in norms.items():
        check_axes(f"norms[{name!r}]", np.asarray(norm), "sources, lags, examples")
    flat = {name: _reached(_flat(np.asarray(norm))) for name, norm in norms.items()}
    there = flat["all"][~np.isnan(flat["all"])]
    return {
        "curves": {name: spread(norm / np.log(10)) for name, norm in flat.items()},
        "half_life": {name: half_life(norm)._asdict() for name, norm in flat.items()},
        "not_finite": float(np.isposinf(there).mean()) if there.size else 0.0,
    }


def memory_horizon(
    model: Model, params: Params, batch: Batch, task: Task, num_sources: int = 1, first_lag: int = 0, last_lag=None
) -> HalfLife:
    """How far back the gradient of a task's loss reaches, in one number: the half-life of its norm over all leaves of
    the carry, with its interval over examples.

    Raises ValueError where the loss is not finite, since a gradient of it says nothing, or lags lie beyond the steps.
    """
    steps = batch.weights.shape[0]
    if not 0 <= first_lag < (steps - 1 if last_lag is None else last_lag) < steps:
        raise ValueError(f"lags must lie within 0 to {steps - 1}, first before last, got {first_lag} and {last_lag}")
    loss = float(model.loss(params, batch)[0])
    if not np.isfinite(loss):
        raise ValueError(
            f"the loss is {loss} on this batch: its gradient has no horizon; take parameters of finite loss"
        )
    norms = np.asarray(lag_norms(model, params, batch, task, num_sources)["all"])
    return half_life(_flat(norms), first_lag, last_lag)


def _reached(norms: np.ndarray) -> np.ndarray:
    """`[k, n]` up to the last lag that any example reaches."""
    reached = np.flatnonzero(~np.isnan(norms).all(axis=1))
    return norms[: int(reached[-1]) + 1 if len(reached) else 0]


def _flat(norms: np.ndarray) -> np.ndarray:
    """`[sources, k, b]` -> `[k, sources * b]`."""
    return np.concatenate(list(norms), axis=1)


def spread(values: np.ndarray) -> dict[str, list[float]]:
    """Median, low and high (10 and 90 %) over the last axis of `[n, examples]`, as lists; nan counts as absent."""
    if not values.size:
        return {"median": [], "low": [], "high": []}
    # Order statistics rather than interpolation: between a number and the -inf of an exact zero lies nan.
    low, median, high = np.nanquantile(values, [0.1, 0.5, 0.9], axis=-1, method="lower")
    return {"median": median.tolist(), "low": low.tolist(), "high": high.tolist()}
