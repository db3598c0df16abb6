"""The table of a sweep: one row a setting, over its seeds. Built from records alone."""

import math
import os

import numpy as np
import pandas as pd
from pandas.api.typing import SeriesGroupBy

from rnngen.report.columns import is_numeric
from rnngen.runs.records import load, runs, sweep
from rnngen.storage.dotted import describe, flatten, short
from rnngen.storage.folder import TRAINED

SPREAD = ("median", "min", "max")
REPEATS = ("seed", "task.kwargs.fold")  # what tells runs of one setting apart


def axes(folder: str | os.PathLike) -> pd.DataFrame:
    """What each trial of a sweep changes: index trial, one column a dotted name; a run has its cell's name."""
    return _axes(folder, sweep(folder))


def settings(folder: str | os.PathLike) -> tuple[pd.DataFrame, list[str]]:
    """`axes`, and the names of its columns that tell settings apart.

    The seed and the fold are none of them, nor is a column that follows from the others.
    """
    found = sweep(folder)
    frame = _axes(folder, found)
    columns = [name for name in frame.columns if name not in REPEATS]
    names = [name for name in columns if frame[name].nunique(dropna=False) > 1]
    # Of a search every column may seem to follow from one whose values are all distinct.
    for name in () if is_search(found, frame) else reversed(names):
        rest = [other for other in names if other != name]
        apart = len(frame[rest].drop_duplicates()) == len(frame[names].drop_duplicates())
        # Nor may a trial be left without a word: of what others do not have it has nothing.
        if rest and apart and frame[rest].notna().any(axis=1).all():
            names = rest
    return frame, names or columns[:1] or list(frame.columns[:1])


def is_search(found: dict | None, frame: pd.DataFrame) -> bool:
    """Whether a sweep is a search: it says so, or nearly every trial has a number of its own on one of its axes.

    found: what `records.sweep` gives. frame: its `axes`.
    """
    numeric = [n for n in frame if n != "seed" and pd.api.types.is_float_dtype(frame[n])]
    distinct = any(frame[n].nunique() > max(8, len(frame) / 2) for n in numeric)
    return distinct or bool((found or {}).get("search"))


def _axes(folder: str | os.PathLike, found: dict | None) -> pd.DataFrame:
    if found is None:
        run = runs(folder)[0]
        cell = (run.config() or {}).get("cell", {"name": ""})
        return pd.DataFrame({"cell.name": [cell["name"]]}, index=[run.name])
    # A search that has proposed nothing yet has no trials, and no axes.
    names = list(dict.fromkeys(name for trial in found["trials"] for name in trial["overrides"])) or ["seed"]
    ids = [trial["id"] for trial in found["trials"]]
    shown = {name: _column([_shown(found["config"], t, name) for t in found["trials"]], ids) for name in names}
    return pd.DataFrame(shown, index=ids)


def _column(values: list, ids: list[str]) -> pd.Series:
    """The values of an axis, `pd.NA` where a trial has none: numbers, with NaN for these, where all are; else objects.

    Of several kinds, as None beside numbers or true beside 1, each is its text, so that no two are taken for one.
    """
    there = [value for value in values if value is not pd.NA]
    if all(type(value) in (int, float) and math.isfinite(value) for value in there):
        return pd.Series([math.nan if value is pd.NA else value for value in values], ids)
    if len({type(value) for value in there}) > 1 or not isinstance(there[0], bool | str):
        values = [value if value is pd.NA else str(value) for value in values]
    return pd.Series(values, ids, dtype=object)


def results(folder: str | os.PathLike) -> pd.DataFrame:
    """The result of each trial with dotted names, index trial, column `status` at least.

    Without the configs that `records.load` adds: with thousands of trials they are most of what it reads.
    """
    found = {run.name: flatten(run.result() or {"status": "unfinished"}) for run in runs(folder)}
    frame = pd.DataFrame([*found.values()], index=pd.Index([*found], name="trial"))
    return frame if "status" in frame else frame.assign(status=pd.Series(dtype=str))


def summary(folder: str | os.PathLike) -> pd.DataFrame:
    """One row a setting: trials by status, median, least and greatest test metrics over seeds, the baseline
    without memory, the rate of success with its interval, the half-life of the gradient before and after training.

    A column `pruned` only where a search has stopped trials early, `parameters` only where they were counted.
    """
    frame, names = settings(folder)
    joined = frame[names].join(results(folder))
    number = joined.groupby(names, sort=False, dropna=False).ngroup()
    rows = joined.loc[~number.duplicated(), names].set_axis(_headings(names), axis=1).reset_index(drop=True)
    gaps = [name for name in rows if is_numeric(rows[name]) and rows[name].isna().any()]
    rows = rows.astype(dict.fromkeys(gaps, "Float64"))  # what a setting has not is missing, and no NaN
    return pd.concat([rows, _counts(joined["status"], number), _statistics(joined, number, len(rows))], axis=1)


def wilson(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval of a rate (1927), 95 % by default; (0, 1) where nothing was tried."""
    if not trials:
        return 0.0, 1.0
    rate, spread = successes / trials, z**2 / trials
    middle = (rate + spread / 2) / (1 + spread)
    half = z * np.sqrt(rate * (1 - rate) / trials + spread / (4 * trials)) / (1 + spread)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def failures(folder: str | os.PathLike) -> list[str]:
    """A line for each failed trial: its id, what it changes, and why it failed."""
    frame, lines = axes(folder).astype(object), []  # or a row of whole numbers and others would be floats
    for run in runs(folder):
        result = run.result()
        if result is not None and result["status"] == "failed":
            changes = ", ".join(f"{short(k)}={v}" for k, v in frame.loc[run.name].dropna().items())
            lines.append(f"{run.name} ({changes}): {result.get('reason', '')}")
    return lines


def _headings(names: list[str]) -> list[str]:
    """Short names, whole ones where two would be called the same."""
    shortened = [short(name) for name in names]
    return [name if shortened.count(short(name)) > 1 else short(name) for name in names]


def _counts(status: pd.Series, number: pd.Series) -> pd.DataFrame:
    """Trials by status, a row a setting."""
    named = ["finished", "diverged", *(["pruned"] if (status == "pruned").any() else []), "failed"]
    counts = {name: (status == name).groupby(number).sum() for name in named}
    return pd.DataFrame({"trials": number.value_counts().sort_index()} | counts)


def _statistics(joined: pd.DataFrame, number: pd.Series, settings: int) -> pd.DataFrame:
    """Over the trials that trained to an end, a row a setting; not a number where there is none."""
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
    """A column of whole numbers, also where some are missing; of other values as it is."""
    if name not in rows:
        return pd.Series(pd.NA, rows.index, dtype="Int64")
    return rows[name].astype("Int64") if all(map(_is_whole, rows[name])) else rows[name].astype(str)


def _is_whole(value: object) -> bool:
    """Whether it is a whole number, or missing; floats hold whole numbers exactly up to 2^53."""
    if isinstance(value, float):
        return math.isnan(value) or (value.is_integer() and abs(value) <= 2**53)
    return isinstance(value, int) or value is None or value is pd.NA


def _over_seeds(values: pd.Series, of: pd.Series, name: str) -> dict[str, pd.Series]:
    grouped = values.astype(float).groupby(of)
    return {f"{name}_{how}": grouped.agg(how) for how in SPREAD}


def _shown(config: dict, trial: dict, name: str) -> object:
    """A trial's value at a dotted name as its sweep calls it, or as a table shows it."""
    return trial.get("labels", {}).get(name) or describe(_value(config, trial["overrides"], name))


def _value(config: dict, overrides: dict, name: str) -> object:
    """What a trial has at a dotted name, whether it overrides that, a part around it, or nothing there: `pd.NA`."""
    if name in overrides:
        return overrides[name]
    whole = next((outer for outer in overrides if name.startswith(f"{outer}.")), None)
    at: object = config if whole is None else overrides[whole]
    for part in (name if whole is None else name.removeprefix(f"{whole}.")).split("."):
        at = at.get(part, pd.NA) if isinstance(at, dict) else pd.NA
    return at


def markdown(rows: pd.DataFrame) -> str:
    """The rows as a table in Markdown, numbers to three digits."""
    lines = [[str(c) for c in rows.columns], ["---"] * len(rows.columns)]
    lines += [[f"{v:.3g}" if isinstance(v, float) else str(v) for v in row] for row in rows.values.tolist()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cost(folder: str | os.PathLike) -> str:
    """What a sweep took: trials, seeds, hours of training and compiling, versions and machines, in one line."""
    results, starts = load(folder, "results"), load(folder, "provenance")
    hours = results.reindex(columns=["train_seconds", "compile_seconds"]).astype(float).sum().sum() / 3600
    counts = ", ".join(f"{number} {status}" for status, number in results["status"].value_counts().items())
    jax = sorted({str(versions.get("jax")) for versions in starts["versions"]})
    devices = sorted(set(starts["device"].astype(str)))
    return f"{counts}; {hours:.2f} hours, one trial at a time; JAX {', '.join(jax)}; {', '.join(devices)}"
