"""Learning curves of each trial as data, which the page's script draws."""

import math
from typing import Any

import numpy as np
import pandas as pd

from rnngen.plotting.style import colours
from rnngen.report.tables import shortened
from rnngen.runs.notebook import NOT_METRICS
from rnngen.runs.settings import REPEATS, curve_axis, words
from rnngen.runs.sweep import Sweep

MOST_TRIALS, MOST_METRICS, MOST_POINTS = 2000, 4, 20_000  # points: of each metric, of all trials together
ORDER = (("valid", "loss"), ("train", "loss"))  # come first


def curves(sweep: Sweep) -> dict[str, Any] | None:
    """Return the curves of a sweep as plain lists and numbers; None where nothing was recorded yet.

    Returns:
      axes: `[name, values as text]` of each; curves are coloured by the first.
      colours: of each value of the first axis.
      trials: `[name, number of its value on each axis...]` of each.
      metrics: `{"name", "steps", "series"}` of each: distinct lists of steps, and for each trial
        `[number of its steps, values]`, or None. Values have four digits; None is not finite.
      left_out: number of trials that are not there.
    """
    rows = sweep.metrics
    rows = rows if rows.empty else rows[rows["split"].isin(("valid", "train"))]
    if rows.empty:
        return None
    trials = list(dict.fromkeys(rows["trial"]))
    shown = trials[:MOST_TRIALS]
    axes = _axes(sweep, shown)
    numbers = [[values.index(value) for value in column] for column, values in axes.values()]
    first = next(iter(axes.values()))[1]
    return {
        "axes": [[name, values] for name, (_, values) in axes.items()],
        "colours": [colours(first)[value] for value in first],
        "trials": [[*trial] for trial in zip(shown, *numbers, strict=True)],
        "metrics": [_metric(rows, split, name, shown) for split, name in _metrics(rows)[:MOST_METRICS]],
        "left_out": len(trials) - len(shown),
    }


def _axes(sweep: Sweep, trials: list[str]) -> dict[str, tuple[list[str], list[str]]]:
    """Return each axis that tells trials apart, the one of the colours first: its value of each trial, and all."""
    planned = sweep.axes.loc[trials]
    first = curve_axis(sweep.settings)
    others = [name for name in (*sweep.settings, *REPEATS) if name in planned and name != first]
    columns = {name: list(words(planned[name])) for name in (first, *dict.fromkeys(others))}
    names = dict(zip(columns, shortened([*columns]), strict=True))
    return {names[name]: (column, list(dict.fromkeys(column))) for name, column in columns.items()}


def _metrics(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """Return (split, name) of the metrics to draw: the losses, then the others of the valid split."""
    names = [c for c in rows if c not in (*NOT_METRICS, "trial") and not c.startswith(("config.", "label."))]
    valid = rows[rows["split"] == "valid"]
    others = [("valid", name) for name in names if name != "loss" and valid[name].notna().any()]
    return [pair for pair in ORDER if (rows["split"] == pair[0]).any()] + others


def _metric(rows: pd.DataFrame, split: str, name: str, trials: list[str]) -> dict[str, Any]:
    groups = dict(list(rows.loc[rows["split"] == split, ["trial", "step", name]].groupby("trial", sort=False)))
    most = max(2, min(300, MOST_POINTS // max(1, len(groups))))
    steps: dict[tuple, int] = {}
    series: list[list | None] = []
    for trial in trials:
        if trial not in groups:
            series.append(None)
            continue
        here = groups[trial].dropna(subset=["step"]).sort_values("step")
        kept = here.iloc[_spread(len(here), most)]
        number = steps.setdefault(tuple(map(int, kept["step"])), len(steps))
        series.append([number, [_short(value) for value in kept[name].astype(float)]])
    return {"name": f"{split} {name.replace('_', ' ')}", "steps": [list(s) for s in steps], "series": series}


def _spread(count: int, most: int) -> np.ndarray:
    """Return at most `most` of `count` places, evenly spread, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def _short(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None
