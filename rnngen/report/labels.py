"""What tells the trials of a sweep apart, as the words of curves and panels."""

import os

import pandas as pd

from rnngen.report.columns import NOTHING
from rnngen.report.tables import REPEATS, settings
from rnngen.runs.records import load, sweep
from rnngen.storage.dotted import short
from rnngen.storage.folder import TRAINED


def labelled(folder: str | os.PathLike, table: str) -> pd.DataFrame:
    """Records with labels: `curve`, the cell or else the first axis, and `panel`, the others together."""
    frame, names = settings(folder)
    first = curve_axis(names)
    others = [name for name in names if name != first]
    panels = pd.Series(together(frame, others), frame.index, dtype=str)
    labels = pd.DataFrame({"curve": literal(words(frame[first])), "panel": literal(panels)})
    records = load(folder, table)
    return records if records.empty else records.merge(labels, left_on="trial", right_index=True)


def words(values: pd.Series) -> pd.Series:
    """The values of an axis as text, a dash for a trial that has none."""
    said = [f"{v:g}" if isinstance(v, float) else str(v) for v in values.astype(object).where(values.notna(), NOTHING)]
    return pd.Series(said, values.index, dtype=str)


def literal(texts: pd.Series) -> pd.Series:
    """Texts of records as Matplotlib prints them: what stands between two dollars it would read as mathematics."""
    return texts.str.replace("$", r"\$", regex=False)


def curve_axis(names: list[str]) -> str:
    """The axis whose values are told apart by colour."""
    return next((name for name in ("cell.name", "cell") if name in names), names[0])


def together(frame: pd.DataFrame, names: list[str]) -> list[str]:
    """Some columns of `settings` in words, a line a trial; what a trial leaves out is passed over."""
    rows = frame[names].astype(object).values.tolist()  # or whole numbers beside others would become floats
    return [", ".join(_words(n, v) for n, v in zip(names, row, strict=True) if not pd.isna(v)) for row in rows]


def _words(name: str, value: object) -> str:
    spoken = isinstance(value, str) or name in ("task", "task.name")
    return (
        str(value) if spoken else f"{short(name)} {value:g}" if isinstance(value, float) else f"{short(name)} {value}"
    )


def moments(folder: str | os.PathLike, rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Of the rows of diagnoses, those at initialisation, and the last of each trial that trained to an end."""
    results = load(folder, "results")
    trained = results["trial"][results["status"].isin(TRAINED)]
    last = rows.groupby("trial")["step"].transform("max")
    ended = rows["trial"].isin(trained) & (rows["step"] == last)
    return {"at initialisation": rows[rows["step"] == rows["step"].min()], "after training": rows[ended]}


def setting_names(folder: str | os.PathLike) -> pd.Series:
    """The setting of each trial in words: its labels and what else differs between trials of the same ones.

    Where a trial has no label, all that `settings` tells apart.
    """
    frame, names = settings(folder)
    spoken = pd.Series(together(frame, names), frame.index)
    trials = (sweep(folder) or {"trials": []})["trials"]
    groups: dict[tuple, list[dict]] = {}
    for trial in trials:
        groups.setdefault(tuple(trial.get("labels", {}).values()), []).append(trial)
    for labels, members in groups.items():
        if labels:
            ids, labelled_axes = [trial["id"] for trial in members], members[0]["labels"]
            free = [n for n in frame if n not in REPEATS and n not in labelled_axes]
            rest = [n for n in free if frame.loc[ids, n].nunique() > 1]
            also = together(frame.loc[ids], rest)
            spoken[ids] = [", ".join([*labels, *filter(None, [words])]) for words in also]
    return spoken
