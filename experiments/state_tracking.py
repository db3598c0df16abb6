"""Which cells track a state, and at lengths they were not trained on? Theorems beside outcomes.

    rnngen sweep --config=configs/sweeps/state_tracking.py --workdir=runs/states
    rnngen sweep --config=configs/sweeps/state_tracking_groups.py --workdir=runs/groups
    rnngen sweep --config=configs/sweeps/state_tracking_s5.py --workdir=runs/s5
    rnngen sweep --config=configs/sweeps/state_tracking_ten_seeds.py --workdir=runs/ten_seeds
    rnngen sweep --config=configs/sweeps/state_tracking_rates.py --workdir=runs/rates
    rnngen sweep --config=configs/sweeps/state_tracking_longer.py --workdir=runs/longer
    rnngen export runs/states experiments/state_tracking
    for part in groups s5 ten_seeds rates longer; do rnngen export runs/$part experiments/state_tracking/$part; done
    python experiments/state_tracking.py

What was found stands in README.md beside the records.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rnngen.diagnostics.generalisation import length_table
from rnngen.plotting.figure import captioned
from rnngen.plotting.style import colours, legend, panels, save
from rnngen.report.experiment import command, present, spread
from rnngen.report.windows import RATE
from rnngen.runs.sweep import Sweep

HERE = Path(__file__).with_suffix("")
SOLVED = 0.99
WITHIN, REACH = "metrics.test.accuracy", "half_life.final"
NONLINEAR = ("RNN", "GRU", "LSTM", "sLSTM")
POSITIVE = ("mLSTM", "minGRU, [0, 1]", "LRU, complex", "S6, [0, 1]", "delta rule, [0, 1]")  # or that no input changes
REFLECTING = ("minGRU, [-1, 1]", "S6, [-1, 1]", "delta rule, [-1, 1]")
PRODUCTS = ("DeltaProduct, 2 factors", "DeltaProduct, 4 factors")
KINDS = (NONLINEAR, POSITIVE, (*REFLECTING, *PRODUCTS))
# What one layer can express in finite precision, at any length; the nonlinear ones all of it. Grazzi et al. 2025:
# transitions whose eigenvalues are all positive cannot track parity, and counting modulo m > 2 takes some that are not
# real; a permutation of n things is a product of at most n - 1 reflections. Sarrof et al. 2024: neither can transitions
# that no input changes.
TASKS = ("parity", "modular arithmetic", "S3", "S5")
EXPRESSES = {
    **dict.fromkeys(POSITIVE, dict.fromkeys(TASKS, "no")),
    **dict.fromkeys(REFLECTING, dict.fromkeys(TASKS, "no") | {"parity": "yes"}),
    PRODUCTS[0]: {"parity": "yes", "modular arithmetic": "?", "S3": "yes", "S5": "no"},
    PRODUCTS[1]: {"parity": "yes", "modular arithmetic": "?", "S3": "yes", "S5": "yes"},
}
# Delétang et al. 2023, table 1: the best of ten seeds and three rates.
PUBLISHED = {
    (cell, task): "1.000" for cell in ("RNN", "LSTM") for task in ("parity", "modular arithmetic", "cycle navigation")
}
CHANCE = {"parity": 1 / 2, "modular arithmetic": 1 / 5, "cycle navigation": 1 / 5, "S3": 1 / 6, "S5": 1 / 120}


def main(folder: Path) -> None:
    """Draw the figures of the records, and print the tables."""
    for sweep in present(folder, table):
        for path in save(lengths(sweep), folder / "figures" / f"lengths_{sweep.path.name}"):
            print(path)


def table(sweep: Sweep) -> pd.DataFrame:
    """A row a task and cell: what one layer expresses, what is published, and what the seeds reached."""
    far, rows = length_table(sweep).set_index("setting"), []
    frame = sweep.axes.assign(setting=sweep.setting_names)
    results = sweep.results.set_index("trial")
    frame = frame.join(results.filter([WITHIN, REACH]), how="inner")
    frame = frame.dropna(subset=WITHIN)  # trials that are not over
    for (task, cell, setting), group in frame.groupby(["task", "cell", "setting"], sort=False):
        beyond = far.loc[setting]
        rate = {"rate": f"{group[RATE].iloc[0]:g}"} if RATE in group else {}
        reach = {"half-life": spread(group[REACH], 1)} if REACH in group else {}
        rows.append(
            {"task": task, "cell": cell}
            | rate
            | {
                "expressible": EXPRESSES.get(cell, {}).get(_kind(task), "yes"),
                "to 40 steps, median": f"{group[WITHIN].median():.3f}",
                "solved": f"{(group[WITHIN] > SOLVED).sum()}/{len(group)}",
                "beyond, best": f"{beyond['best']:.3f}",
                "best in print": PUBLISHED.get((cell, task), "-"),
                "median": f"{beyond['median']:.3f}",
                "least": f"{beyond['least']:.3f}",
                "above 0.9": f"{beyond['generalise'] * beyond['seeds']:.0f}/{beyond['seeds']:.0f}",
            }
            | reach
        )
    return pd.DataFrame(rows)


def _kind(task: str) -> str:
    """The task without its tokens or rate."""
    return task.partition(",")[0]


@captioned(
    "Accuracy beyond the lengths of training",
    "Trained on at most 40 steps (dotted). Thick lines are medians over seeds, thin ones the seeds. Rows: nonlinear "
    "cells; linear ones whose eigenvalues are positive, or that no input changes; linear ones with negative "
    "eigenvalues. Grey: chance.",
)
def lengths(sweep: Sweep) -> Figure:
    """Accuracy against length: a column a task, a row a kind of cell, a line a cell."""
    rows = sweep.moments(sweep.diagnosed("length_generalisation"))["after training"]
    tasks, there = list(dict.fromkeys(rows["panel"])), list(dict.fromkeys(rows["curve"]))
    kinds = [cells for kind in KINDS if (cells := [cell for cell in there if cell in kind])]
    figure, grid = panels(len(kinds), len(tasks), width=2.3, height=1.9, sharex=True, sharey=True)
    for line, cells in zip(grid, kinds, strict=True):
        shade = colours(cells)
        for axes, task in zip(line, tasks, strict=True):
            for cell in cells:
                group = rows[(rows["panel"] == task) & (rows["curve"] == cell)]
                seeds = np.array([of["accuracy"] for of in group["metrics"]], float)
                steps = group.iloc[0]["lengths"]
                axes.plot(steps, seeds.T, color=shade[cell], linewidth=0.4, alpha=0.5)
                axes.plot(steps, np.median(seeds, axis=0), color=shade[cell], marker="o", markersize=2.5, label=cell)
            axes.axvline(rows.iloc[0]["trained"], color="0.6", linestyle=":", linewidth=0.8)
            # A panel is called by what differs, and of one task that is the rate.
            named = task if task in set(sweep.axes["task"]) else sweep.axes["task"].iloc[0]
            axes.axhline(CHANCE[_kind(named)], color="0.6", linewidth=0.8)
            axes.set(ylim=(0, 1.05))
        line[0].set_ylabel("accuracy")
        legend(line[-1], loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize="x-small")
    for axes, task in zip(grid[0], tasks, strict=True):
        axes.set_title(task.replace("_", " "))
    for axes in grid[-1]:
        axes.set_xlabel("length (steps)")
    return figure


if __name__ == "__main__":
    command(__doc__, HERE, main)
