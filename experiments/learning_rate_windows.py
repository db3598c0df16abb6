"""In which learning rates does each cell learn, and how wide is the window?

    rnngen sweep --config=configs/sweeps/learning_rate_windows.py --workdir=runs/windows
    rnngen export runs/windows experiments/learning_rate_windows
    python experiments/learning_rate_windows.py

What was found stands in README.md beside the records.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from rnngen.plotting.figure import captioned
from rnngen.plotting.style import legend, panels, save
from rnngen.report import learning_rate_windows
from rnngen.report.experiment import AFTER, BEFORE, before_and_after, command, outcomes, present
from rnngen.report.windows import RATE
from rnngen.runs.sweep import Sweep

HERE = Path(__file__).with_suffix("")
LONGEST = 1000.0  # half-life in figures and tables, in steps
LAGS = {"adding": 15, "copy memory": 12}  # of the first input that counts, on average or exactly
SHADES = ListedColormap(["#f7f7f7", "#c6dbef", "#6baed6", "#2171b5"])


def main(folder: Path) -> None:
    """Draw the bands and the reach, and print the table."""
    for sweep in present(folder, table):
        for name, draw in {"windows": bands, "windows_and_reach": reach}.items():
            for path in save(draw(sweep), folder / "figures" / name):
                print(path)


def table(sweep: Sweep) -> pd.DataFrame:
    """A row a cell: of each task the best rate, the window in decades, and the half-life before and after, there."""
    windows, frame, rows = learning_rate_windows(sweep), outcomes(sweep), []
    for cell, both in windows.groupby("curve", sort=False):
        row = {"cell": cell}
        for _, of in both.iterrows():
            there = frame[(frame["task"] == of["panel"]) & (frame["cell"] == cell) & (frame[RATE] == of["best_rate"])]
            solved = f"{there['solved'].sum()}/{len(there)}"
            row |= {
                f"{of['panel']}: best rate": f"{of['best_rate']:g}, {solved}" if there["solved"].any() else "-",
                f"{of['panel']}: decades": _decades(of),
                f"{of['panel']}: half-life": before_and_after(there, LONGEST),
            }
        rows.append(row)
    return pd.DataFrame(rows)


def _decades(window: pd.Series) -> str:
    if np.isnan(window["decades"]):
        return "none"
    return f"{window['decades']:.1f}{'' if window['within'] else '+'}"


def _height(cells: list[str]) -> float:
    """Inches in which the name of each cell has a line."""
    return 0.19 * len(cells) + 0.8


@captioned(
    "Learning-rate windows",
    "Share of three seeds that solved the task within 1000 updates: a row a cell, a column a learning rate. Framed: "
    "the window around the best rate, in which at least half of the seeds did, and its width in decades; with a plus, "
    "the rates that were tried end before the window does.",
)
def bands(sweep: Sweep) -> Figure:
    """The share of seeds that solved it, of each cell at each rate: a panel a task."""
    frame, windows = outcomes(sweep), learning_rate_windows(sweep)
    cells, rates, tasks = (list(dict.fromkeys(frame[name])) for name in ("cell", RATE, "task"))
    rates = sorted(rates)
    figure, grid = panels(1, len(tasks), width=3.4, height=_height(cells), sharey=True)
    for axes, task in zip(grid[0], tasks, strict=True):
        mine = frame[frame["task"] == task]
        share = mine.groupby(["cell", RATE])["solved"].mean().unstack().reindex(index=cells, columns=rates)
        axes.imshow(share.to_numpy(), cmap=SHADES, vmin=0, vmax=1, aspect="auto")
        for _, window in windows[windows["panel"] == task].iterrows():
            place = cells.index(window["curve"])
            axes.text(len(rates) - 0.4, place, _decades(window), va="center", fontsize="x-small")
            if not np.isnan(window["decades"]):
                low, high = rates.index(window["low"]), rates.index(window["high"])
                axes.add_patch(
                    Rectangle((low - 0.5, place - 0.5), high - low + 1, 1, fill=False, edgecolor="black", linewidth=0.8)
                )
        axes.set_xticks(range(0, len(rates), 2), [f"{rate:g}" for rate in rates[::2]])
        axes.set_yticks(range(len(cells)), cells, fontsize="x-small")
        axes.set(xlabel="learning rate", title=task)
        axes.tick_params(length=0)
    return figure


@captioned(
    "Reach and success",
    "Half-life of the gradient after training, a point a trial of any rate; those above 1000 steps are drawn there. "
    "Dotted: the lag of the task; adding's is an average.",
)
def reach(sweep: Sweep) -> Figure:
    """Half-life after training: a panel a task, a row a cell, a colour for whether the task was solved."""
    frame = outcomes(sweep).dropna(subset=[BEFORE, AFTER])
    cells = list(dict.fromkeys(frame["cell"]))
    figure, grid = panels(1, len(LAGS), width=3.2, height=_height(cells), sharey=True)
    shade = {"solved": "#2171b5", "not solved": "0.75"}
    for axes, (task, lag) in zip(grid[0], LAGS.items(), strict=True):
        mine = frame[frame["task"] == task]
        for said, group in (("not solved", mine[~mine["solved"]]), ("solved", mine[mine["solved"]])):
            places = [cells.index(cell) for cell in group["cell"]]
            axes.scatter(group[AFTER].clip(upper=LONGEST), places, s=7, color=shade[said], alpha=0.6, label=said)
        axes.axvline(lag, color="0.5", linestyle=":", linewidth=0.8)
        axes.set_yticks(range(len(cells)), cells, fontsize="x-small")
        axes.set(xscale="log", xlabel="half-life after training (steps)", title=task)
    grid[0][0].set_ylim(len(cells) - 0.5, -0.5)
    legend(grid[0][-1], loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize="x-small")
    return figure


if __name__ == "__main__":
    command(__doc__, HERE, main)
