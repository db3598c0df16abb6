"""The hidden size chosen by validation: the loss of train and valid against it, and where that of valid is least."""

import os
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnngen.report.columns import is_numeric
from rnngen.report.figures import MOST_CURVES, MOST_PANELS
from rnngen.report.labels import literal, together, words
from rnngen.report.style import band, colours, legend, panels, styled
from rnngen.report.tables import is_search, settings
from rnngen.runs.records import load, sweep
from rnngen.storage.folder import TRAINED

SIZE = "cell.kwargs.hidden_dim"
LEAST = 3  # sizes that make a curve
LINES: dict[str, dict[str, Any]] = {
    "valid": {"marker": "o"},
    "train": {"marker": "o", "markersize": 2.5, "linestyle": "--", "linewidth": 1},
}
COLUMNS = ["task", "cell", "hidden_dim", "train", "valid", "runs", "chosen", "by"]


@styled
def sizes(folder: str | os.PathLike) -> Figure | None:
    """Loss on valid and on train at the end against the hidden size, the choice ringed; means over folds and seeds.

    Shaded: the range over folds and seeds. A panel a task, a colour a cell. None where no cell has three sizes, in a
    search, and where there are more panels or cells than anybody could read.
    """
    rows = _scored(folder)
    names, cells = list(rows["task"].unique()), list(rows["cell"].unique())
    if not names or len(names) > MOST_PANELS or len(cells) > MOST_CURVES:
        return None
    across, colour = min(len(names), 4), colours(cells)
    figure, grid = panels(-(-len(names) // across), across, width=3.2, height=2.7)
    for axes, name in zip(grid.flat, names, strict=False):
        here = rows[rows["task"] == name]
        for cell, group in here.groupby("cell", sort=False):
            _draw(axes, group, str(cell) if len(cells) > 1 else "", colour[str(cell)])
        _decorate(axes, here)
    for axes in list(grid.flat)[len(names) :]:
        axes.set_axis_off()
    for line in grid:
        line[0].set_ylabel("loss")
    return figure


def chosen(folder: str | os.PathLike) -> pd.DataFrame:
    """A row a task, cell and hidden size: mean loss on `train` and `valid`, number of `runs`, and the choice.

    `chosen` is the size with the least mean loss on valid, among those with the most runs, since folds are not equally
    hard; `by` says by what. No rows where `sizes` draws nothing for want of sizes.
    """
    groups = _scored(folder).groupby(["task", "cell"], sort=False)
    found = [_means(group).assign(task=task, cell=cell, by=_by(group)) for (task, cell), group in groups]
    return pd.concat(found, ignore_index=True)[COLUMNS] if found else pd.DataFrame(columns=COLUMNS)


def _scored(folder: str | os.PathLike) -> pd.DataFrame:
    """A row a run that trained to an end, of the tasks and cells with enough sizes."""
    frame, names = settings(folder)
    if SIZE not in names or not is_numeric(frame[SIZE]) or is_search(sweep(folder), frame):
        return pd.DataFrame(columns=["task", "cell"])
    found = load(folder, "results").set_index("trial")
    found = found[found["status"].isin(TRAINED) & frame[SIZE].notna()]
    swept, cell = frame.loc[found.index], next((name for name in ("cell", "cell.name") if name in names), None)
    others = [name for name in names if name not in (SIZE, cell)]
    said = pd.Series(together(swept, others), swept.index, dtype=str)
    if not {"task", "task.name"} & set(others):
        said = found["config.task.name"].str.cat(said.where(said != ""), sep=", ", na_rep="").str.removesuffix(", ")
    rows = pd.DataFrame(
        {
            "task": literal(said),
            "cell": literal(words(swept[cell]) if cell else found["config.cell.name"]),
            "hidden_dim": swept[SIZE].astype(int),
            "folds": found.get("config.task.kwargs.folds", 0),
            "fold": found.get("config.task.kwargs.fold", 0),
            "baseline": found.get("baseline", float("nan")),
        }
        | {split: found[f"metrics.{split}.loss"].astype(float) for split in LINES}
    )
    return rows[rows.groupby(["task", "cell"])["hidden_dim"].transform("nunique") >= LEAST]


def _means(group: pd.DataFrame) -> pd.DataFrame:
    """A row a size; a loss that is no number makes its mean none."""
    over = group.groupby("hidden_dim")
    means = over[list(LINES)].agg(lambda losses: losses.mean(skipna=False)).assign(runs=over.size())
    best = means["valid"].where(means["runs"] == means["runs"].max()).idxmin()
    return means.assign(chosen=means.index == best).reset_index()


def _by(group: pd.DataFrame) -> str:
    folds, done = int(group["folds"].fillna(0).max()), group["fold"].nunique()
    if not folds or done < 2:
        return "hold-out"
    return f"cross-validation over {folds} folds" if done == folds else f"{done} of {folds} folds"


def _draw(axes: Axes, group: pd.DataFrame, cell: str, colour: str) -> None:
    means, over = _means(group), group.groupby("hidden_dim")
    for split, look in LINES.items():
        label = ", ".join(filter(None, [cell, split]))
        band(axes, label, colour, means.set_index("hidden_dim")[split], over[split].min(), over[split].max(), **look)
    best = means[means["chosen"]].iloc[0]
    axes.plot(best["hidden_dim"], best["valid"], "o", color=colour, markersize=10, fillstyle="none")
    _name(axes, int(best["hidden_dim"]), float(best["valid"]), list(means["hidden_dim"]), colour)


def _name(axes: Axes, size: int, loss: float, tried: list[int], colour: str) -> None:
    """The choice in words, where the curve does not pass: above a valley, below an end."""
    edges = {min(tried): ("left", ", the least tried"), max(tried): ("right", ", the largest tried")}
    side, more = edges.get(size, ("center", ""))
    off, anchor = (9, "bottom") if side == "center" else (-9, "top")
    axes.annotate(
        f"{size}{more}",
        (size, loss),
        (0, off),
        textcoords="offset points",
        ha=side,
        va=anchor,
        color=colour,
        fontsize=8,
    )


def _decorate(axes: Axes, rows: pd.DataFrame) -> None:
    """Title, ticks and, where it is in sight, the loss without memory."""
    (low, high), baseline, tried = axes.get_ylim(), rows["baseline"].median(), sorted(rows["hidden_dim"].unique())
    if low < baseline < high:
        axes.axhline(baseline, color="0.4", linestyle=":", linewidth=1, label="without memory")
    axes.set_xscale("log")
    axes.set_xticks(tried, [str(size) for size in tried])
    axes.minorticks_off()
    axes.set(xlabel="hidden size (units)", title=f"{rows['task'].iloc[0]}\n{_by(rows)}")
    legend(axes)
