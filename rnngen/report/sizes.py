"""The hidden size chosen by validation: the loss of train and valid against it, and the minimum of valid."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnngen.plotting.figure import Look, NothingToDraw, check_readable, figure
from rnngen.plotting.style import band, legend, literal
from rnngen.report.columns import is_numeric
from rnngen.runs.run import Run
from rnngen.runs.settings import together, words
from rnngen.runs.sweep import Sweep
from rnngen.storage.folder import TRAINED

SIZE = "cell.kwargs.hidden_dim"
LEAST = 3  # sizes that make a curve
LINES: dict[str, dict[str, Any]] = {
    "valid": {"marker": "o"},
    "train": {"marker": "o", "markersize": 2.5, "linestyle": "--", "linewidth": 1},
}
COLUMNS = ["task", "cell", "hidden_dim", "train", "valid", "runs", "chosen", "by"]


@figure(
    "Hidden size",
    "Loss on train and on valid at the end against the hidden size: means over folds and seeds, bands from the "
    "least to the greatest. Ringed: the size with the least mean loss on valid; dotted, where it is in sight: the "
    "loss of the best memoryless predictor.",
)
def sizes(sweep: Sweep, look: Look) -> Figure:
    """Draw the loss on valid and on train at the end against the hidden size, the choice ringed.

    Means over folds and seeds, the range shaded. A panel a task, a colour a cell.
    """
    rows = _scored(sweep)
    names = list(rows["task"].unique())
    if not names:
        raise NothingToDraw(f"{sweep.path} has no cell with {LEAST} hidden sizes, or is a search")
    rows, colour = look.curves(rows, "cell")
    cells = list(colour)
    check_readable(len(names), len(cells))
    figure, panels = look.wrapped_panels(names, min(len(names), 4), "loss", width=3.2, height=2.7)
    for axes, name in zip(panels, names, strict=True):
        here = rows[rows["task"] == name]
        for cell, group in here.groupby("cell", sort=False):
            _draw(axes, group, str(cell) if len(cells) > 1 else "", colour[str(cell)])
        _decorate(axes, here)
    return figure


def chosen(records: Run | Sweep) -> pd.DataFrame:
    """Return a row a task, cell and hidden size: mean loss on `train` and `valid`, number of `runs`, and the choice.

    `chosen` is the size with the least mean loss on valid, among those with the most runs, since folds are not equally
    hard; `by` names the method. No rows where `sizes` has too few sizes to draw.
    """
    groups = _scored(records.as_sweep()).groupby(["task", "cell"], sort=False)
    found = [_means(group).assign(task=task, cell=cell, by=_by(group)) for (task, cell), group in groups]
    return pd.concat(found, ignore_index=True)[COLUMNS] if found else pd.DataFrame(columns=COLUMNS)


def _scored(sweep: Sweep) -> pd.DataFrame:
    """Return a row a run that trained to an end, of the tasks and cells with enough sizes."""
    frame, names = sweep.axes, sweep.settings
    if SIZE not in names or not is_numeric(frame[SIZE]) or sweep.is_search:
        return pd.DataFrame(columns=["task", "cell"])
    found = sweep.results.set_index("trial")
    found = found[found["status"].isin(TRAINED) & frame[SIZE].notna()]
    swept, cell = frame.loc[found.index], next((name for name in ("cell", "cell.name") if name in names), None)
    others = [name for name in names if name not in (SIZE, cell)]
    said = pd.Series(together(swept, others), swept.index, dtype=str)
    if not {"task", "task.name"} & set(others):
        said = found["config.task.name"].str.cat(said.where(said != ""), sep=", ", na_rep="").str.removesuffix(", ")
    rows = pd.DataFrame(
        {
            "task": said.map(literal),
            "cell": words(swept[cell]) if cell else found["config.cell.name"],
            "hidden_dim": swept[SIZE].astype(int),
            "folds": found.get("config.task.kwargs.folds", 0),
            "fold": found.get("config.task.kwargs.fold", 0),
            "baseline": found.get("baseline", float("nan")),
        }
        | {split: found[f"metrics.{split}.loss"].astype(float) for split in LINES}
    )
    return rows[rows.groupby(["task", "cell"])["hidden_dim"].transform("nunique") >= LEAST]


def _means(group: pd.DataFrame) -> pd.DataFrame:
    """Return a row a size; a loss that is not finite makes its mean not finite."""
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
    """Label the choice away from the curve: above a valley, below an end."""
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
    """Set title and ticks, and draw the memoryless baseline where it is within the limits."""
    (low, high), baseline, tried = axes.get_ylim(), rows["baseline"].median(), sorted(rows["hidden_dim"].unique())
    if low < baseline < high:
        axes.axhline(baseline, color="0.4", linestyle=":", linewidth=1, label="memoryless")
    axes.set_xscale("log")
    axes.set_xticks(tried, [str(size) for size in tried])
    axes.minorticks_off()
    axes.set(xlabel="hidden size (units)", title=f"{rows['task'].iloc[0]}\n{_by(rows)}")
    legend(axes)
