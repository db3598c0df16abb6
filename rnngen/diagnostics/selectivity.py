"""The single unit that tells most of a property of the input, such as being inside quotes (Karpathy et al. 2015)."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from rnngen.diagnostics.checks import check_axes

FEWEST = 5  # steps with a property, and without it, that either half must have


class Selective(NamedTuple):
    """A unit's number, and its score from -1 to 1 with the sign of the relation; 0: it tells nothing."""

    unit: int
    score: float


def selectivity(states: np.ndarray, properties: Mapping[str, np.ndarray]) -> dict[str, Selective]:
    """Find the unit of `[t, n]` that tells most of each property `[t]`, the best told first.

    The unit is chosen on the first half of the steps and scored on the second, since the best of many units looks good
    by chance alone. A boolean property scores 2 AUC - 1, where AUC is the chance that the unit is higher at a step
    where it is true; another one scores the rank correlation. Properties that hardly vary are left out.

    Raises:
      ValueError: states are not `[t, n]`, or a property has another number of steps.
    """
    states = np.asarray(states)
    check_axes("states", states, "t, n")
    for name, values in properties.items():
        if np.shape(values) != states.shape[:1]:
            given, steps = list(np.shape(values)), f"the {len(states)} steps of states {list(states.shape)}"
            raise ValueError(f"property {name!r} must be [t] with {steps}, got {given}")
    half = len(states) // 2
    found = {}
    for name, values in properties.items():
        values = np.asarray(values)
        if all(_varies(part) for part in (values[:half], values[half:])):
            unit = int(np.argmax(np.abs(scores(states[:half], values[:half]))))
            found[name] = Selective(unit, float(scores(states[half:, [unit]], values[half:])[0]))
    return dict(sorted(found.items(), key=lambda item: -abs(item[1].score)))


def scores(states: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Score each unit of `[t, n]` against a property `[t]`: `[n]`, from -1 to 1."""
    from scipy.stats import rankdata  # here: its import takes longer than most of what uses this package

    ranks = rankdata(states, axis=0)
    if values.dtype == bool:
        true, false = int(values.sum()), int((~values).sum())
        return 2 * (ranks[values].sum(axis=0) - true * (true + 1) / 2) / (true * false) - 1
    ranks, of = ranks - ranks.mean(axis=0), rankdata(values) - (len(values) + 1) / 2
    size = np.sqrt((ranks**2).sum(axis=0) * (of**2).sum())
    return np.divide(of @ ranks, size, out=np.zeros_like(size), where=size > 0)


def _varies(values: np.ndarray) -> bool:
    if values.dtype == bool:
        return min(values.sum(), (~values).sum()) >= FEWEST
    return len(np.unique(values)) > 1 and len(values) >= 2 * FEWEST
