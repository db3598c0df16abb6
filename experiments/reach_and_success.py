"""Does a short horizon exclude success? Reach after training against success, over the records of all experiments.

    python experiments/reach_and_success.py

It trains nothing: it reads the other folders here, of every experiment that recorded the half-life of the gradient and
whether its task was solved. What was found stands in README.md beside the figure.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from scipy.stats import mannwhitneyu

from rnngen.plotting.figure import captioned
from rnngen.plotting.style import panels, save
from rnngen.report.experiment import AFTER, command, steps
from rnngen.report.tables import markdown
from rnngen.runs import open_sweep, record_folders

HERE = Path(__file__).with_suffix("")
LEAST, LONGEST = 0.1, 1e4  # half-lives in the figure, in steps
SHADES = {"not solved": "0.7", "solved": "#2171b5"}


def main(folder: Path) -> None:
    """Draw the figure of all records, and print the table."""
    frame = trials(folder)
    for path in save(reach(frame), folder / HERE.name / "figures" / HERE.name):
        print(path)
    print(markdown(table(frame)))


def trials(folder: Path) -> pd.DataFrame:
    """A row a trial that is over: experiment, task, half-life after training in steps, whether it solved the task."""
    rows = [of for child in sorted(folder.iterdir()) if child.is_dir() for of in _records(child)]
    if not rows:
        raise FileNotFoundError(f"{folder} holds no folder of records with half-lives and successes")
    return pd.concat(rows, ignore_index=True)


def _records(folder: Path) -> list[pd.DataFrame]:
    """The trials of each record of one experiment that says how far its gradient reaches and what is solved."""
    try:
        sweeps = [open_sweep(one) for one in record_folders(folder)]
    except FileNotFoundError:
        return []
    found = []
    for sweep in sweeps:
        results = sweep.results.set_index("trial")
        imposed = "train.credit" in sweep.axes  # the reach is then no outcome
        if imposed or AFTER not in results or "solved" not in results:
            continue
        task = sweep.axes["task"] if "task" in sweep.axes else results["config.task.name"]
        frame = pd.DataFrame({"task": task, "half_life": results[AFTER].astype(float), "solved": results["solved"]})
        found.append(frame.dropna().assign(experiment=folder.name, solved=lambda rows: rows["solved"].astype(bool)))
    return found


def table(frame: pd.DataFrame) -> pd.DataFrame:
    """A row an experiment and task that some trials solved and some did not."""
    rows = []
    for (experiment, task), group in _both(frame):
        solved, not_solved = group[group["solved"]]["half_life"], group[~group["solved"]]["half_life"]
        rows.append(
            {
                "experiment": experiment,
                "task": task,
                "solved": f"{len(solved)}/{len(group)}",
                "half-life where solved": _spread(solved),
                "where not": _spread(not_solved),
                "solved reaches farther": f"{farther(solved, not_solved):.2f}",
                "not solved, as short as the shortest solved": f"{(not_solved <= solved.min()).mean():.0%}",
            }
        )
    return pd.DataFrame(rows)


def farther(one: ArrayLike, other: ArrayLike) -> float:
    """The probability that a random value of one is above a random value of the other, ties half."""
    return float(mannwhitneyu(one, other).statistic / (np.size(one) * np.size(other)))


def _both(frame: pd.DataFrame) -> list[tuple[tuple[str, str], pd.DataFrame]]:
    """The trials of each experiment and task that some solved and some did not, by its name."""
    groups = frame.groupby(["experiment", "task"], sort=False)
    return [(name, group) for name, group in groups if group["solved"].nunique() == 2]


def _spread(values: pd.Series) -> str:
    """The median with the fifth and ninety-fifth percentile."""
    low, middle, high = (steps(value, LONGEST) for value in np.quantile(values, (0.05, 0.5, 0.95), method="nearest"))
    return f"{middle} [{low}, {high}]"


@captioned(
    "Reach and success",
    "Half-life of the gradient after training, a point a trial: above each line those that solved the task, below it "
    "those that did not. Short strokes are medians. Half-lives beyond the axis are drawn at its ends.",
)
def reach(frame: pd.DataFrame) -> Figure:
    """Half-lives: a line an experiment and task."""
    groups, noise = _both(frame), np.random.default_rng(0)
    figure, ((axes,),) = panels(1, 1, width=5.2, height=0.34 * len(groups) + 0.5)
    for place, (_, group) in enumerate(groups):
        for (said, shade), side in zip(SHADES.items(), (1, -1), strict=True):
            values = group[group["solved"] == (said == "solved")]["half_life"].clip(LEAST, LONGEST)
            heights = place + side * noise.uniform(0.06, 0.34, len(values))
            axes.scatter(values, heights, s=5, color=shade, alpha=0.6, linewidths=0, label=None if place else said)
            axes.plot(
                [np.quantile(values, 0.5, method="nearest")] * 2,
                [place + side * 0.04, place + side * 0.38],
                color="black",
                linewidth=1.2,
            )
    axes.set_yticks(
        range(len(groups)), [f"{task} ({experiment})" for (experiment, task), _ in groups], fontsize="x-small"
    )
    axes.set(xscale="log", xlabel="half-life after training (steps)", ylim=(len(groups) - 0.5, -0.5))
    axes.legend(frameon=False, fontsize="x-small", loc="upper left", bbox_to_anchor=(1.01, 1))
    return figure


if __name__ == "__main__":
    command(__doc__, HERE.parent, main)
