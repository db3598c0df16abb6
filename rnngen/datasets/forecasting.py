"""The task of forecasting a series: its splits, its windows and its baselines."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from rnngen.datasets.corpus import SPLITS
from rnngen.datasets.generative import ON_DEVICE, to_batch
from rnngen.datasets.interface import check_finite
from rnngen.datasets.scaling import Scaling
from rnngen.datasets.series_codec import series_codec, series_interface
from rnngen.datasets.series_values import Series
from rnngen.datasets.windows import Window
from rnngen.heads.bounds import LOG_SCALE_LIMIT
from rnngen.tasks.sampling import finite_indices
from rnngen.tasks.task import Objective, Task, TaskData
from rnngen.types import check_positive


class _Windows(NamedTuple):
    """The examples of a split: the first step of each, and the step from which on its steps count."""

    first: np.ndarray
    counts_from: np.ndarray


def forecasting_task(
    series: Series,
    *,
    window: int,
    horizon: int,
    components: int,
    valid: float,
    test: float,
    missing: bool,
    facts: Mapping[str, Any] = MappingProxyType({}),
) -> Task:
    """Make the task of a series; see `datasets.series`. Raises ValueError naming the argument that does not fit."""
    check_positive(window=window, horizon=horizon, components=components)
    check_finite("values", series.values, missing, "" if missing else " (row, column): fill it in, or missing='mask'")
    ends = _ends(len(series.values), window, horizon, valid, test)
    scaling = Scaling.fit(series.values[: ends[0]], "columns", series.columns)
    values = scaling.scaled(series.values)
    changes = np.diff(_filled(values), axis=0, prepend=np.nan)
    changes[np.isnan(values)] = np.nan
    kwargs: dict[str, Any] = {
        "columns": list(series.columns),
        **scaling.kwargs(),
        "components": components,
        "missing": missing,
    }
    kwargs["persistence"] = (_mean_change(changes[: ends[0]]) * scaling.scale).tolist()
    made, codec = series_interface(**kwargs), series_codec(**kwargs)
    memoryless, persistence = (_nats(of[: ends[0]], of[ends[1] :]) for of in (values, changes))
    told = dict(facts) | {
        "split": f"in order: rows {ends[0]} to {ends[1] - 1} are valid, later ones test",
        "baselines": {"memoryless": memoryless, "persistence": persistence},
    }
    windows, steps, here = _windows(values, ends, window, horizon), window + horizon, values.nbytes <= ON_DEVICE
    return Task(
        data=TaskData(
            sample=_sample(values, windows, steps, jnp if here else np),
            sizes={split: len(windows[split].first) for split in SPLITS},
            lengths=dict.fromkeys(SPLITS, (steps, steps)),
            input_spec=made.input_spec,
            on_device=here,
            finish=lambda drawn: to_batch(codec, drawn),
            facts=told,
        ),
        objective=Objective(head=made.head, loss=made.loss, baseline=lambda length: memoryless),
        codec={"name": "series", "kwargs": kwargs, "length": horizon},
        interface={"name": "series", "kwargs": kwargs},
    )


def _ends(steps: int, window: int, horizon: int, valid: float, test: float) -> tuple[int, int, int]:
    """Return the ends of train, valid and test. Raises ValueError where one is too short."""
    for name, share in (("valid", valid), ("test", test)):
        if not 0 < share < 1:
            raise ValueError(f"{name} must be a share above 0 and below 1, got {share!r}: each split needs steps")
    held = [max(1, round(steps * share)) for share in (valid, test)]
    train = steps - sum(held)
    if train < window + horizon:
        raise ValueError(
            f"window and horizon together must be at most the {max(train, 0)} steps of train (of {steps} in all), got "
            f"{window} + {horizon}"
        )
    for name, count in zip(("valid", "test"), held, strict=True):
        if count < horizon:
            raise ValueError(f"horizon must be at most the {count} steps of {name}, got {horizon}")
    return train, train + held[0], steps


def _windows(values: np.ndarray, ends: tuple[int, int, int], window: int, horizon: int) -> dict[str, _Windows]:
    """Return the examples of each split: all of train; of the others such that each step is in one horizon.

    Those without a value that counts are left out. Raises ValueError where a split has no other.
    """
    first = np.arange(ends[0] - window - horizon + 1)
    found = {"train": _Windows(first, first)}
    for split, start, end in zip(SPLITS[1:], ends[:-1], ends[1:], strict=True):
        begins = np.arange(start, end, horizon)
        # The last one is moved back to end with the split, and does not count what counts already.
        found[split] = _Windows(np.minimum(begins, end - horizon) - window, begins)
    known = np.concatenate([[0], np.cumsum(_known(values))])
    for split, (first, counts_from) in found.items():
        kept = known[first + window + horizon] > known[counts_from]
        if not kept.any():
            raise ValueError(f"columns: the {split} split has no value that is not missing")
        found[split] = _Windows(first[kept], counts_from[kept])
    return found


def _known(values: np.ndarray) -> np.ndarray:
    """Return the steps that have a value, bool `[t]`."""
    return (~np.isnan(values)).any(axis=1)


def _sample(values: np.ndarray, windows: dict[str, _Windows], steps: int, xp: Any) -> Callable:
    """Return a `TaskData.sample` of windows `[steps, b, d]`."""
    held, known = xp.asarray(values), xp.asarray(_known(values).astype(np.float32))

    def sample(split, key, step, batch_size):
        of = windows[split]
        index, real = finite_indices(split, key, step, batch_size, len(of.first), xp)
        places = xp.asarray(of.first)[index] + xp.arange(steps)[:, None]
        counted = places >= xp.asarray(of.counts_from)[index]
        weights = xp.where(counted, known[places] * real, xp.zeros((), np.float32))
        begins = xp.broadcast_to(xp.arange(steps)[:, None] == 0, places.shape)
        return Window(held[xp.maximum(places - 1, 0)], held[places], begins, None, None, weights)

    return sample


def _filled(values: np.ndarray) -> np.ndarray:
    """Replace each missing value `[t, d]` by the last one before it; those before the first stay missing."""
    there = np.where(np.isnan(values), 0, np.arange(len(values))[:, None])
    return np.take_along_axis(values, np.maximum.accumulate(there, axis=0), axis=0)


def _mean_change(changes: np.ndarray) -> np.ndarray:
    """Return the mean size of each column's changes `[t, d]`; 1 for a column that does not change."""
    there = ~np.isnan(changes)
    mean = np.where(there, np.abs(changes), 0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    return np.where(mean > 0, mean, 1.0)


def _nats(train: np.ndarray, test: np.ndarray) -> float:
    """Return nats per step of `test` `[n, d]` under independent Gaussians fitted to `train`; NaN does not count."""
    if not _known(test).any() or np.isnan(train).all(axis=0).any():
        return math.nan
    mean, variance = np.nanmean(train, axis=0, dtype=np.float64), np.nanvar(train, axis=0, dtype=np.float64)
    variance = np.maximum(variance, np.exp(-2 * LOG_SCALE_LIMIT))  # no less than the head has
    each = 0.5 * (test - mean) ** 2 / variance + 0.5 * np.log(2 * np.pi * variance)
    return float(np.mean(np.nansum(each, axis=1)[_known(test)]))
