"""Interleaved timing, and the statistics of paired repeats.

Other work on a machine comes and goes within seconds. Every contender is therefore timed once a repeat, and two
contenders are compared within each repeat before anything is averaged.
"""

import gc
import math
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import bootstrap

from .protocol import Row


class Estimate(NamedTuple):
    """A median with its 95 % interval."""

    median: float
    low: float
    high: float


def interleaved(
    calls: Mapping[str, Callable[[], Any]], repeats: int, *, warm: int = 2, before: Callable[[], Any] | None = None
) -> dict[str, list[float]]:
    """Return {contender: seconds of each repeat}. A call returns when its work is done.

    Args:
      warm: rounds that are not counted.
      before: called before each call, not counted either.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    enabled = gc.isenabled()
    gc.disable()
    try:
        for repeat in range(-warm, repeats):
            for name in _shuffled(calls, repeat):
                seconds = _time(calls[name], before)
                if repeat >= 0:
                    times[name].append(seconds)
            gc.collect()
    finally:
        if enabled:
            gc.enable()
    return times


def _shuffled(names: Iterable[str], repeat: int) -> list[str]:
    # A contender leaves caches and waking threads behind: nobody shall always come after the same one.
    names = list(names)
    random.Random(repeat).shuffle(names)
    return names


def _time(call: Callable[[], Any], before: Callable[[], Any] | None) -> float:
    if before is not None:
        before()
    start = time.perf_counter()
    result = call()
    seconds = time.perf_counter() - start
    # Giving back the memory of a result is not the contender's work.
    del result
    return seconds


def bootstrap_interval(
    values: Sequence[float], *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the median of `values`; the same for the same values and seed."""
    if len(values) == 1:  # which SciPy refuses
        return values[0], values[0]
    found = bootstrap(
        (values,), np.median, n_resamples=resamples, confidence_level=level, method="percentile",
        rng=np.random.default_rng(seed),
    )  # fmt: skip
    low, high = found.confidence_interval
    return float(low), float(high)


def paired_ratio(times: Sequence[float], base: Sequence[float]) -> Estimate:
    """Return the median over repeats of times / base, both `[repeats]`."""
    ratios = [a / b for a, b in zip(times, base, strict=True)]
    return Estimate(float(np.median(ratios)), *bootstrap_interval(ratios))


def compared(times: Mapping[str, Sequence[float]], bases: Mapping[str, str]) -> list[Row]:
    """Return a row a contender: medians, repeats, and a paired ratio for each entry of `bases`.

    Args:
      times: {contender: seconds}.
      bases: {field: contender}; the row gets the ratio of its times to that contender's as `field`, and its interval as
        `field_interval`. A contender that was not timed gives no such field.
    """
    rows = []
    for name, seconds in times.items():
        row: Row = {"contender": name, "seconds": float(np.median(seconds)), "repeats": len(seconds)}
        for field, base in bases.items():
            if base in times:
                ratio = paired_ratio(seconds, times[base])
                row |= {field: ratio.median, f"{field}_interval": [ratio.low, ratio.high]}
        rows.append(row | {"times": list(seconds)})
    return rows


def geometric_mean(values: Sequence[float]) -> float | None:
    """Return the geometric mean; None of no values."""
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def growth_exponent(lengths: Sequence[float], values: Sequence[float]) -> float | None:
    """Return p where values grow as length^p: the slope of log against log over the upper half of the lengths.

    The cost of a call dominates on short sequences. None where the upper half is a single length.
    """
    pairs = sorted(zip(lengths, values, strict=True))
    upper = np.log(np.asarray(pairs[len(pairs) // 2 :], float))
    return float(np.polyfit(upper[:, 0], upper[:, 1], 1)[0]) if len(upper) > 1 else None
