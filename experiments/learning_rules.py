"""What does each learning rule learn, at which lag?

    rnngen sweep --config=configs/sweeps/learning_rules.py --workdir=runs/rules
    rnngen sweep --config=configs/sweeps/learning_rules_credit.py --workdir=runs/credit
    rnngen export runs/rules experiments/learning_rules
    rnngen export runs/credit experiments/learning_rules/credit
    python experiments/learning_rules.py

What was found stands in README.md beside the records.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rnngen.plotting.figure import captioned
from rnngen.plotting.style import colours, legend, panels, save
from rnngen.report.experiment import at_best_rate, command, present
from rnngen.report.windows import RATE
from rnngen.runs.sweep import Sweep

HERE = Path(__file__).with_suffix("")
CREDIT = "rule_credit"


def main(folder: Path) -> None:
    """Draw the figure of the large sweep and that of the credit, and print the tables."""
    for sweep in present(folder, table):
        name, figure = ("rules", rules(sweep)) if RATE in sweep.axes else ("credit", credit(sweep))
        for path in save(figure, folder / "figures" / name):
            print(path)


def trials(sweep: Sweep) -> pd.DataFrame:
    """A row a trial: task, lag, rule, rate, whether it solved the task, updates until then, and loss on valid."""
    results = sweep.results.set_index("trial")
    frame = sweep.axes.join(results[["solved", "step", "metrics.valid.loss", "config.cell.name"]], how="inner")
    parts = frame["task"].str.extract(r"(?P<name>.+), lag (?P<lag>\d+)")
    frame = frame.assign(task=parts["name"], lag=parts["lag"].astype(int), cell=frame["config.cell.name"])
    frame["solved"] = frame["solved"].fillna(False).astype(bool)
    frame["updates"] = frame["step"].where(frame["solved"])
    return frame.rename(columns={"train.rule": "rule", "metrics.valid.loss": "loss"})


def chosen(sweep: Sweep) -> pd.DataFrame:
    """The trials at the best rate of each task, lag, cell and rule."""
    return at_best_rate(trials(sweep), ["task", "lag", "cell", "rule"], RATE)


def table(sweep: Sweep) -> pd.DataFrame:
    """The large sweep: a row a task and lag, a column a rule. The small one: a row a task and rule, cosines by lag."""
    return _solved(sweep) if RATE in sweep.axes else _cosines(sweep)


def _solved(sweep: Sweep) -> pd.DataFrame:
    best = chosen(sweep)
    best["rule"] = best["rule"].where(best["cell"] == "gru", "minGRU: " + best["rule"])
    counts = best.groupby(["task", "lag", "rule"], sort=False)["solved"].agg(["sum", "count"])
    told = counts.apply(lambda row: f"{row['sum']}/{row['count']}", axis=1)
    return told.unstack("rule", sort=False).reset_index()


def _cosines(sweep: Sweep) -> pd.DataFrame:
    rows = sweep.diagnosed(CREDIT)
    rows, told = rows[rows["step"] == rows["step"].max()], []
    for task, group in rows.groupby("curve", sort=False):
        for rule in group.iloc[0]["rules"]:
            cosine = _median(group, rule)
            told.append(
                {"task": task, "rule": rule} | {f"lag {k}": round(float(cosine[k]), 2) for k in (0, 1, 2, 5, 10, 20)}
            )
    return pd.DataFrame(told)


def _median(group: pd.DataFrame, rule: str) -> np.ndarray:
    """The cosine by lag, median over seeds."""
    return np.median([of[rule]["cosine"]["all"] for of in group["rules"]], axis=0)


@captioned(
    "What a rule learns",
    "Share of five seeds that solved the task within 1000 batches, at the best of three learning rates, against the "
    "lag that the task needs. Above: a GRU, one update a batch. Below: a minGRU, updated every 5 steps or a batch.",
)
def rules(sweep: Sweep) -> Figure:
    """Success against lag: a column a task, a row a cell, a line a rule."""
    best = chosen(sweep)
    tasks, cells = list(dict.fromkeys(best["task"])), list(dict.fromkeys(best["cell"]))
    figure, grid = panels(len(cells), len(tasks), width=2.3, height=1.9, sharex=True, sharey=True)
    for line, cell in zip(grid, cells, strict=True):
        mine = best[best["cell"] == cell]
        names = list(dict.fromkeys(mine["rule"]))
        shade = colours(names)
        for axes, task in zip(line, tasks, strict=True):
            for number, rule in enumerate(names):
                share = mine[(mine["task"] == task) & (mine["rule"] == rule)].groupby("lag")["solved"].mean()
                # Lines on top of each other are set a little apart.
                lift = 0.012 * (number - len(names) / 2)
                axes.plot(share.index, share + lift, marker="o", markersize=3, color=shade[rule], label=rule)
            axes.set(xscale="log", ylim=(-0.1, 1.1))
            axes.set_xticks([5, 10, 25, 50, 100], ["5", "10", "25", "50", "100"])
            axes.minorticks_off()
        line[0].set_ylabel(f"{cell}\nshare of seeds that solved it")
        legend(line[-1], loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize="x-small")
    for axes, task in zip(grid[0], tasks, strict=True):
        axes.set_title(task)
    for axes in grid[-1]:
        axes.set_xlabel("lag (steps)")
    return figure


@captioned(
    "Credit of the rules",
    "Cosine of the part of a rule's gradient that comes from k steps back with that of back-propagation, after a GRU "
    "of 16 units was trained by back-propagation at a lag of 25; median of three seeds.",
)
def credit(sweep: Sweep) -> Figure:
    """Cosine with back-propagation's part against lag: a panel a task, a line a rule."""
    rows = sweep.diagnosed(CREDIT)
    rows = rows[rows["step"] == rows["step"].max()]
    tasks = list(dict.fromkeys(rows["curve"]))
    names = list(rows.iloc[0]["rules"])
    shade = colours(names)
    figure, (line,) = panels(1, len(tasks), width=2.3, height=2.1, sharey=True)
    for axes, task in zip(line, tasks, strict=True):
        group = rows[rows["curve"] == task]
        for rule in names:
            cosine = _median(group, rule)[:-1]
            axes.plot(range(len(cosine)), cosine, color=shade[rule], label=rule)
        axes.set(title=task, xlabel="lag k (steps)", ylim=(-0.35, 1.05))
        axes.axhline(0, color="0.6", linewidth=0.8)
    line[0].set_ylabel("cosine with that of BPTT")
    legend(line[-1], loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize="x-small")
    return figure


if __name__ == "__main__":
    command(__doc__, HERE, main)
