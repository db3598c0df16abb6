"""Which cells recall what they were told? MQAR and selective copying, bare and within a block.

    rnngen sweep --config=configs/sweeps/recall.py --workdir=runs/recall
    rnngen sweep --config=configs/sweeps/recall_copying.py --workdir=runs/copying
    rnngen sweep --config=configs/sweeps/recall_control.py --workdir=runs/control
    rnngen sweep --config=configs/sweeps/recall_longer.py --workdir=runs/longer
    rnngen sweep --config=configs/sweeps/recall_falling.py --workdir=runs/falling
    rnngen export runs/recall experiments/recall
    for part in copying control longer falling; do rnngen export runs/$part experiments/recall/$part; done
    python experiments/recall.py

What was found stands in README.md beside the records.
"""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnngen.plotting.figure import captioned
from rnngen.plotting.style import legend, panels, save
from rnngen.report.experiment import AFTER, at_best_rate, before_and_after, command, outcomes, present, spread
from rnngen.report.windows import RATE
from rnngen.runs.sweep import Sweep

HERE = Path(__file__).with_suffix("")
BLOCK, ACCURACY = "model.block", "metrics.test.accuracy"
LONGEST = 1000.0  # half-life in figure and table, in steps
SHADES = {"bare": "#D55E00", "block": "#0072B2"}
CHANCE = {"MQAR": 1 / 32, "selective copying": 1 / 16}  # an answer is a value; a symbol
UPDATES = 2000  # of all but the longer trials


def main(folder: Path) -> None:
    """Draw the figures of all records of the same budget together, and print the tables."""
    sweeps = present(folder, table)
    alike = [sweep for sweep in sweeps if updates(sweep) == UPDATES]
    frame = pd.concat(map(of_tasks, alike or sweeps))
    for name, draw in {"recall": accuracies, "recall_and_reach": reach}.items():
        for path in save(draw(frame), folder / "figures" / name):
            print(path)


def updates(sweep: Sweep) -> int:
    """The most updates of a trial."""
    return sweep.config["train"]["steps"]


def of_tasks(sweep: Sweep) -> pd.DataFrame:
    """The outcome of each trial; the task says so where there were more updates."""
    frame = outcomes(sweep, ACCURACY)
    return frame if updates(sweep) == UPDATES else frame.assign(task=frame["task"] + f", {updates(sweep)} updates")


def chosen(frame: pd.DataFrame) -> pd.DataFrame:
    """The trials at the best rate of each task, block and cell."""
    return at_best_rate(frame, ["task", BLOCK, "cell"], RATE)


def table(sweep: Sweep) -> pd.DataFrame:
    """A row a task, block and cell, at the best of its rates."""
    rows = []
    for (task, block, cell), group in chosen(of_tasks(sweep)).groupby(["task", BLOCK, "cell"], sort=False):
        reached = group["updates"].dropna()
        row = {
            "task": task,
            "layers": block,
            "cell": cell,
            "rate": f"{group[RATE].iloc[0]:g}",
            "solved": f"{group['solved'].sum()}/{len(group)}",
            "in updates": int(reached.median()) if len(reached) else "-",
            "accuracy": spread(group[ACCURACY], 3),
        }
        if group[AFTER].notna().any():
            row["half-life"] = before_and_after(group, LONGEST)
        rows.append(row)
    return pd.DataFrame(rows)


@captioned(
    "Recall",
    "Accuracy of the answers, a point a seed, at the best of three learning rates. Dotted: chance. Attention is a "
    "control, and not recurrent.",
)
def accuracies(frame: pd.DataFrame) -> Figure:
    """Accuracy: a panel a task, a row a cell, a colour a kind of layer."""
    best, cells, tasks = chosen(frame), _labels(frame, "cell"), _labels(frame, "task")
    figure, (grid,) = panels(1, len(tasks), width=3.2, height=0.26 * len(cells) + 0.6, sharey=True)
    grid[0].set_yticks(range(len(cells)), cells, fontsize="x-small")
    grid[0].set_ylim(len(cells) - 0.5, -0.5)
    for axes, task in zip(grid, tasks, strict=True):
        _seeds(axes, best[best["task"] == task], cells)
        axes.axvline(CHANCE[task.split(",")[0]], color="0.5", linestyle=":", linewidth=0.8)
        axes.set(xlim=(-0.02, 1.02), xlabel="accuracy", title=task)
    legend(grid[-1], loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize="x-small")
    return figure


@captioned(
    "Recall and reach",
    "Accuracy of the answers against the half-life of the gradient after training, a point a trial of any rate; "
    "half-lives above 1000 steps are drawn there. Dotted: chance.",
)
def reach(frame: pd.DataFrame) -> Figure:
    """Accuracy against half-life: a panel a task, a colour a kind of layer."""
    tasks = _labels(frame, "task")
    figure, grid = panels(1, len(tasks), width=3.2, height=2.6, sharey=True)
    for axes, task in zip(grid[0], tasks, strict=True):
        mine = frame[frame["task"] == task].dropna(subset=[AFTER])
        for block, group in mine.groupby(BLOCK, sort=False):
            axes.scatter(
                group[AFTER].clip(upper=LONGEST), group[ACCURACY], s=9, alpha=0.6, color=SHADES[block], label=block
            )
        axes.axhline(CHANCE[task.split(",")[0]], color="0.5", linestyle=":", linewidth=0.8)
        axes.set(xscale="log", xlabel="half-life after training (steps)", title=task)
    grid[0][0].set_ylabel("accuracy")
    legend(grid[0][-1], loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize="x-small")
    return figure


def _labels(frame: pd.DataFrame, axis: str) -> list[str]:
    return list(dict.fromkeys(frame[axis]))


def _seeds(axes: Axes, frame: pd.DataFrame, cells: list[str]) -> None:
    """Draw the accuracy of each seed on the line of its cell, bare ones a little above those of blocks."""
    for lift, (block, shade) in zip((-0.15, 0.15), SHADES.items(), strict=True):
        group = frame[frame[BLOCK] == block]
        places = [cells.index(cell) + lift for cell in group["cell"]]
        axes.scatter(group[ACCURACY], places, s=11, color=shade, alpha=0.7, label=block, clip_on=False)


if __name__ == "__main__":
    command(__doc__, HERE, main)
