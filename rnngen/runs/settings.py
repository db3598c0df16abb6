"""The settings that distinguish the trials of a sweep: axes as a table, settings as words, curves and panels."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from rnngen.storage.dotted import describe, short

REPEATS = ("seed", "task.kwargs.fold")  # differ between runs of one setting
NOTHING = "\u2013"  # an en dash


def axes(plan: dict | None, runs: Sequence[Any]) -> pd.DataFrame:
    """Return the values that each trial changes: index trial, a column a dotted name; of a single run its cell."""
    if plan is None:
        cell = (runs[0].config or {}).get("cell", {"name": ""})
        return pd.DataFrame({"cell.name": [cell["name"]]}, index=[runs[0].name])
    trials = plan["trials"]
    # A search that has proposed nothing yet has no trials, and no axes.
    names = list(dict.fromkeys(name for trial in trials for name in trial["overrides"])) or ["seed"]
    ids = [trial["id"] for trial in trials]
    shown = {name: _column([_shown(plan["config"], trial, name) for trial in trials], ids) for name in names}
    return pd.DataFrame(shown, index=ids)


def names(axes: pd.DataFrame, is_search: bool) -> list[str]:
    """Return the columns that distinguish settings: neither repeats, nor columns that follow from others."""
    columns = [name for name in axes.columns if name not in REPEATS]
    apart = [name for name in columns if axes[name].nunique(dropna=False) > 1]
    # In a search every column may seem to follow from one whose values are all distinct.
    for name in () if is_search else reversed(apart):
        rest = [other for other in apart if other != name]
        follows = len(axes[rest].drop_duplicates()) == len(axes[apart].drop_duplicates())
        # Nor may a trial be left without a value in all of the remaining columns.
        if rest and follows and axes[rest].notna().any(axis=1).all():
            apart = rest
    return apart or columns[:1] or list(axes.columns[:1])


def has_distinct_numbers(axes: pd.DataFrame) -> bool:
    """Return True where nearly every trial has a number of its own on one of the axes."""
    numeric = [name for name in axes if name != "seed" and pd.api.types.is_float_dtype(axes[name])]
    return any(axes[name].nunique() > max(8, len(axes) / 2) for name in numeric)


def curves(axes: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Return a label each trial: `curve`, its cell or else its first axis, and `panel`, the others together."""
    first = curve_axis(names)
    panels = pd.Series(together(axes, [name for name in names if name != first]), axes.index, dtype=str)
    return pd.DataFrame({"curve": words(axes[first]), "panel": panels})


def curve_axis(names: list[str]) -> str:
    """Return the axis whose values are told apart by colour."""
    return next((name for name in ("cell.name", "cell") if name in names), names[0])


def words(values: pd.Series) -> pd.Series:
    """Return the values of an axis as text, a dash for a trial that has none."""
    said = [f"{v:g}" if isinstance(v, float) else str(v) for v in values.astype(object).where(values.notna(), NOTHING)]
    return pd.Series(said, values.index, dtype=str)


def together(axes: pd.DataFrame, names: list[str]) -> list[str]:
    """Return some columns in words, one text a trial; values that a trial does not have are left out."""
    rows = axes[names].astype(object).values.tolist()  # or whole numbers beside others would become floats
    return [", ".join(_words(n, v) for n, v in zip(names, row, strict=True) if not pd.isna(v)) for row in rows]


def in_words(axes: pd.DataFrame, names: list[str], trials: Sequence[dict]) -> pd.Series:
    """Return the setting of each trial in words: its labels, and other differences between trials of the same labels.

    A trial without a label has all of `names`.
    """
    spoken = pd.Series(together(axes, names), axes.index)
    groups: dict[tuple, list[dict]] = {}
    for trial in trials:
        groups.setdefault(tuple(trial.get("labels", {}).values()), []).append(trial)
    for labels, members in groups.items():
        if labels:
            ids, labelled_axes = [trial["id"] for trial in members], members[0]["labels"]
            free = [name for name in axes if name not in REPEATS and name not in labelled_axes]
            rest = [name for name in free if axes.loc[ids, name].nunique() > 1]
            spoken[ids] = [", ".join([*labels, *filter(None, [also])]) for also in together(axes.loc[ids], rest)]
    return spoken


def _words(name: str, value: object) -> str:
    if isinstance(value, str) or name in ("task", "task.name"):
        return str(value)
    return f"{short(name)} {value:g}" if isinstance(value, float) else f"{short(name)} {value}"


def _column(values: list, ids: list[str]) -> pd.Series:
    """Return an axis: numbers where all values are, NaN for a trial without one; else objects, and `pd.NA`.

    Of several kinds, as None beside numbers or true beside 1, each is its text, so that no two are taken for one.
    """
    there = [value for value in values if value is not pd.NA]
    if all(type(value) in (int, float) and math.isfinite(value) for value in there):
        return pd.Series([math.nan if value is pd.NA else value for value in values], ids)
    if len({type(value) for value in there}) > 1 or not isinstance(there[0], bool | str):
        values = [value if value is pd.NA else str(value) for value in values]
    return pd.Series(values, ids, dtype=object)


def _shown(config: dict, trial: dict, name: str) -> object:
    """Return a trial's value at a dotted name as its sweep calls it, or as a table shows it."""
    return trial.get("labels", {}).get(name) or describe(_value(config, trial["overrides"], name))


def _value(config: dict, overrides: dict, name: str) -> object:
    """Return a trial's value at a dotted name, by an override of it or of a part around it; `pd.NA`: it has none."""
    if name in overrides:
        return overrides[name]
    whole = next((outer for outer in overrides if name.startswith(f"{outer}.")), None)
    at: Any = config if whole is None else overrides[whole]
    for part in (name if whole is None else name.removeprefix(f"{whole}.")).split("."):
        at = at.get(part, pd.NA) if isinstance(at, dict) else pd.NA
    return at
