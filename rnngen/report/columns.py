"""A table of numbers as text: medians with their range, rates with their interval, three digits."""

import itertools
from typing import NamedTuple

import pandas as pd

from rnngen.runs.settings import NOTHING

_HEADINGS = {
    "success_rate": "solved",
    "baseline": "memoryless loss",
    "half_life_initial": "half-life before (steps)",
    "half_life_final": "half-life after (steps)",
}
_ONLY_IF_ANY = ("diverged", "pruned", "failed")


class Column(NamedTuple):
    """A column: its heading, its cells as text, and as numbers to sort by, None where they are words."""

    heading: str
    texts: list[str]
    values: list[float] | None

    @property
    def letters(self) -> int:
        """The letters that the column is wide, with the room beside it: a range goes below its number where it must."""
        parts = itertools.chain(self.heading.split(), *(text.split(" [") for text in self.texts))
        return 3 + max(map(len, parts), default=0)


def columns(rows: pd.DataFrame) -> list[Column]:
    """Return the columns of a `summary` or another table; cells of settings without a finished trial hold a dash.

    `x_median`, `x_min` and `x_max` become one column `x` of `median [least, greatest]`, the rate of success carries
    its interval, and columns that say nothing (no trial diverged, all finished) are left out.
    """
    spreads = {c.removesuffix("_median") for c in rows if c.endswith("_median")}
    spreads = {stem for stem in spreads if {f"{stem}_min", f"{stem}_max"} <= set(rows)}
    parts = {f"{stem}_{end}" for stem in spreads for end in ("min", "max")} | {"success_low", "success_high"}
    empty = _untrained(rows)
    found = []
    for name in [c for c in rows if c not in parts | _idle(rows)]:
        stem = name.removesuffix("_median")
        if stem in spreads:
            found.append(_column(rows, name, stem, [f"{stem}_min", f"{stem}_max"], empty))
        else:
            bounds = ["success_low", "success_high"] if name == "success_rate" and "success_low" in rows else []
            found.append(_column(rows, name, name, bounds, empty))
    return found


def number(value: object) -> str:
    """Format a number to three digits, whole numbers in full, NaN and infinities as `nan`, `inf` and `-inf`.

    Words stay, and a missing value is a dash, such as the fold of a task without folds.
    """
    if value is pd.NA:
        return NOTHING
    return f"{float(f'{value:.3g}'):g}" if isinstance(value, float) else str(value)


def is_numeric(values: pd.Series) -> bool:
    """Return True for a column of numbers, but not of booleans."""
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _column(rows: pd.DataFrame, name: str, stem: str, bounds: list[str], empty: list[bool]) -> Column:
    table = [rows[c].tolist() for c in (name, *bounds)]
    texts = [_between(*cells) for cells in zip(*table, strict=True)]
    texts = [NOTHING if none and text == "nan" else text for none, text in zip(empty, texts, strict=True)]
    numeric = is_numeric(rows[name])
    values = rows[name].astype("Float64").to_numpy(float, na_value=float("nan")).tolist() if numeric else None
    return Column(_HEADINGS.get(stem, stem.replace("_", " ")), texts, values)


def _between(middle: object, low: object = None, high: object = None) -> str:
    """Format `middle [low, high]`, or `middle` alone where the three are the same."""
    texts = [number(v) for v in (middle, low, high)]
    return texts[0] if low is None or len(set(texts)) == 1 or texts[0] == "nan" else "{} [{}, {}]".format(*texts)


def _untrained(rows: pd.DataFrame) -> list[bool]:
    """Return True for each row without a trial that trained to an end, where a missing number is not a measured NaN."""
    if "status" in rows:
        return [status in ("failed", "unfinished", "pruned") for status in rows["status"]]
    if {"finished", "diverged"} <= set(rows):
        return (rows["finished"] + rows["diverged"] == 0).tolist()
    return [False] * len(rows)


def _idle(rows: pd.DataFrame) -> set[str]:
    idle = {c for c in _ONLY_IF_ANY if c in rows and is_numeric(rows[c]) and not rows[c].any()}
    if "finished" in rows and "trials" in rows and rows["finished"].equals(rows["trials"]):
        idle.add("finished")
    return idle
