"""The table of a sweep: one row a setting, over its seeds. Built from records alone."""

import math

import numpy as np
import pandas as pd
from pandas.api.typing import SeriesGroupBy

from rnngen.report.columns import is_numeric
from rnngen.runs.sweep import Sweep
from rnngen.storage.dotted import short
from rnngen.storage.folder import TRAINED

SPREAD = ("median", "min", "max")


def summary(sweep: Sweep) -> pd.DataFrame:
    """Return one row a setting of a sweep.

    Trials by status; median, least and greatest test metrics over seeds; the memoryless baseline; the rate of success
    with its interval; the half-life of the gradient before and after training. A column `pruned` only where a search
    has stopped trials early, `parameters` only where they were counted.
    """
    names = sweep.settings
    joined = sweep.axes[names].join(sweep.outcomes)
    number = joined.groupby(names, sort=False, dropna=False).ngroup()
    rows = joined.loc[~number.duplicated(), names].set_axis(shortened(names), axis=1).reset_index(drop=True)
    gaps = [name for name in rows if is_numeric(rows[name]) and rows[name].isna().any()]
    rows = rows.astype(dict.fromkeys(gaps, "Float64"))  # a value that a setting lacks is missing, not NaN
    return pd.concat([rows, _counts(joined["status"], number), _statistics(joined, number, len(rows))], axis=1)


def wilson(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """Return Wilson's score interval of a rate (1927), 95 % by default; (0, 1) for no trials."""
    if not trials:
        return 0.0, 1.0
    rate, spread = successes / trials, z**2 / trials
    middle = (rate + spread / 2) / (1 + spread)
    half = z * np.sqrt(rate * (1 - rate) / trials + spread / (4 * trials)) / (1 + spread)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def failures(sweep: Sweep) -> list[str]:
    """Return a line for each failed trial: its id, what it changes, and why it failed."""
    frame, lines = sweep.axes.astype(object), []  # or a row of whole numbers and others would be floats
    for run in sweep:
        if run.result and run.status == "failed":
            changes = ", ".join(f"{short(k)}={v}" for k, v in frame.loc[run.name].dropna().items())
            lines.append(f"{run.name} ({changes}): {run.result.get('reason', '')}")
    return lines


def shortened(names: list[str]) -> list[str]:
    """Shorten names, but not those that would become the same."""
    shortened = [short(name) for name in names]
    return [name if shortened.count(short(name)) > 1 else short(name) for name in names]


def _counts(status: pd.Series, number: pd.Series) -> pd.DataFrame:
    """Count trials by status, a row a setting."""
    named = ["finished", "diverged", *(["pruned"] if (status == "pruned").any() else []), "failed"]
    counts = {name: (status == name).groupby(number).sum() for name in named}
    return pd.DataFrame({"trials": number.value_counts().sort_index()} | counts)


def _statistics(joined: pd.DataFrame, number: pd.Series, settings: int) -> pd.DataFrame:
    """Summarise the trials that trained to an end, a row a setting; NaN where there is none."""
    wanted = joined.columns.union(["baseline", "solved"], sort=False)
    over = joined[joined["status"].isin(TRAINED)].reindex(columns=wanted)
    of = number[over.index]
    columns: dict[str, object] = {}
    if "parameters" in joined:
        columns["parameters"] = whole(over, "parameters").groupby(of).first()
    for metric in [c for c in joined if c.startswith("metrics.test.")]:
        columns |= _over_seeds(over[metric], of, "test_" + metric.removeprefix("metrics.test."))
    columns["baseline"] = over["baseline"].astype(float).groupby(of).first()
    columns |= _success(over["solved"].astype(float).groupby(of), settings)
    for column in [c for c in joined if c.startswith("half_life.")]:
        columns |= _over_seeds(over[column], of, column.replace(".", "_"))
    return pd.DataFrame(columns, index=range(settings))


def _success(solved: SeriesGroupBy, settings: int) -> dict[str, object]:
    counts = (solved.sum(), solved.count())
    won, tried = (count.reindex(range(settings), fill_value=0).astype(int) for count in counts)
    bounds = pd.DataFrame([*map(wilson, won, tried)], columns=["success_low", "success_high"])
    return {"success_rate": solved.mean(), **bounds}


def whole(rows: pd.DataFrame, name: str) -> pd.Series:
    """Return a column of whole numbers, also where some are missing; of other values as text."""
    if name not in rows:
        return pd.Series(pd.NA, rows.index, dtype="Int64")
    return rows[name].astype("Int64") if all(map(_is_whole, rows[name])) else rows[name].astype(str)


def _is_whole(value: object) -> bool:
    """Return True for a whole number or a missing one; floats hold whole numbers exactly up to 2^53."""
    if isinstance(value, float):
        return math.isnan(value) or (value.is_integer() and abs(value) <= 2**53)
    return isinstance(value, int) or value is None or value is pd.NA


def _over_seeds(values: pd.Series, of: pd.Series, name: str) -> dict[str, pd.Series]:
    grouped = values.astype(float).groupby(of)
    return {f"{name}_{how}": grouped.agg(how) for how in SPREAD}


def markdown(rows: pd.DataFrame) -> str:
    """Format rows as a table in Markdown, numbers to three digits."""
    lines = [[str(c) for c in rows.columns], ["---"] * len(rows.columns)]
    lines += [[f"{v:.3g}" if isinstance(v, float) else str(v) for v in row] for row in rows.values.tolist()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cost(sweep: Sweep) -> str:
    """Return the cost of a sweep in one line: trials, hours of training and compiling, versions and machines."""
    results, starts = sweep.outcomes, sweep.provenance
    hours = results.reindex(columns=["train_seconds", "compile_seconds"]).astype(float).sum().sum() / 3600
    counts = ", ".join(f"{number} {status}" for status, number in results["status"].value_counts().items())
    jax = sorted({str(versions.get("jax")) for versions in starts["versions"]})
    devices = sorted(set(starts["device"].astype(str)))
    return f"{counts}; {hours:.2f} hours, one trial at a time; JAX {', '.join(jax)}; {', '.join(devices)}"
