"""What does each learning rule learn, at which lag?

    rnngen sweep --config=configs/sweeps/learning_rules.py --workdir=runs/rules
    rnngen sweep --config=configs/sweeps/learning_rules_credit.py --workdir=runs/credit
    rnngen export runs/rules experiments/learning_rules
    rnngen export runs/credit experiments/learning_rules/credit
    python experiments/learning_rules.py

What was found stands in README.md beside the records.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rnngen.plotting.figure import captioned
from rnngen.plotting.style import COLOURS, OTHERS, legend, panels, save
from rnngen.report.experiment import at_best_rate, command, outcomes, present
from rnngen.report.windows import RATE
from rnngen.runs.sweep import Sweep

HERE = Path(__file__).with_suffix("")
CREDIT = "rule_credit"
RULES = ("BPTT", "RTRL", "TBPTT", "SnAp-1", "e-prop", "UORO", "random", "immediate")
MEASURED = {
    "rtrl": "RTRL",
    "tbptt": "TBPTT, 10 steps",
    "snap1": "SnAp-1",
    "eprop": "e-prop",
    "uoro": "UORO",
    "immediate": "immediate",
    "random": "random",
}
SHADES = dict(zip(RULES, dict.fromkeys((*COLOURS.values(), *OTHERS)), strict=False))


def main(folder: Path) -> None:
    """Draw the figure of the large sweep and that of the credit, and print the tables."""
    for sweep in present(folder, table):
        drawn = {"rules": rules, "rules_losses": losses} if RATE in sweep.axes else {"credit": credit}
        for name, draw in drawn.items():
            for path in save(draw(sweep), folder / "figures" / name):
                print(path)


def trials(sweep: Sweep) -> pd.DataFrame:
    """A row a trial: task, lag, rule, rate, whether it solved the task, updates until then, and loss on valid."""
    frame = outcomes(sweep, "baseline", "config.cell.name")
    parts = frame["task"].str.extract(r"(?P<name>.+), lag (?P<lag>\d+)")
    frame = frame.assign(task=parts["name"], lag=parts["lag"].astype(int), cell=frame["config.cell.name"])
    frame["left"] = frame["loss"] / frame["baseline"]
    return frame.rename(columns={"train.rule": "rule"})


def chosen(sweep: Sweep) -> pd.DataFrame:
    """The trials at the best rate of each task, lag, cell and rule."""
    return at_best_rate(trials(sweep), ["task", "lag", "cell", "rule"], RATE)


def table(sweep: Sweep) -> pd.DataFrame:
    """The large sweep: a row a task and lag, a column a rule: seeds that solved it, and the loss over its baseline.

    The small one: a row a task and rule, cosines by lag.
    """
    return _solved(sweep) if RATE in sweep.axes else _cosines(sweep)


def _solved(sweep: Sweep) -> pd.DataFrame:
    best = chosen(sweep)
    best["rule"] = best["rule"].where(best["cell"] == "gru", "minGRU: " + best["rule"])
    groups = best.groupby(["task", "lag", "rule"], sort=False)
    counts = groups.agg(solved=("solved", "sum"), count=("solved", "count"), left=("left", "median"))
    told = counts.apply(lambda row: f"{row['solved']:.0f}/{row['count']:.0f}, {row['left']:.2f}", axis=1)
    return told.unstack("rule", sort=False).reset_index()


def _cosines(sweep: Sweep) -> pd.DataFrame:
    rows = sweep.diagnosed(CREDIT)
    rows, told = rows[rows["step"] == rows["step"].max()], []
    for task, group in rows.groupby("curve", sort=False):
        for rule, name in MEASURED.items():
            cosine = _median(group, rule)
            lags = {f"lag {k}": round(float(cosine[k]), 2) + 0.0 for k in (0, 1, 2, 5, 10, 20)}
            told.append({"task": task, "rule": name} | lags)
    return pd.DataFrame(told)


def _median(group: pd.DataFrame, rule: str) -> np.ndarray:
    """The cosine by lag, median over seeds."""
    return np.median([of[rule]["cosine"]["all"] for of in group["rules"]], axis=0)


@captioned(
    "What a rule learns",
    "Share of five seeds that solved the task within 1000 batches, at the best of three learning rates, against the "
    "lag that the task needs; lines are set a little apart. Solid: Adam; dashed: RMSprop. Above: a GRU, one update a "
    "batch. Below: a minGRU, one update every 5 steps or a batch.",
)
def rules(sweep: Sweep) -> Figure:
    """Success against lag: a column a task, a row a cell, a line a rule."""
    frame = chosen(sweep).assign(value=lambda rows: rows["solved"].astype(float))
    return _against_lag(frame, "seeds that solved it", lift=0.012)


@captioned(
    "What is left of the loss",
    "Loss over that of the best predictor without memory, mean of five seeds, at the rate where it is least, against "
    "the lag that the task needs: 1 is a rule that learned nothing of it.",
)
def losses(sweep: Sweep) -> Figure:
    """Loss over the baseline against lag, as in `rules`."""
    frame = trials(sweep).assign(value=lambda rows: rows["left"].clip(upper=1.2))
    by = ["task", "lag", "cell", "rule"]
    means = frame.groupby([*by, RATE], sort=False)["value"].mean()
    return _against_lag(means.groupby(by, sort=False).min().reset_index(), "loss over baseline")


def _against_lag(frame: pd.DataFrame, said: str, lift: float = 0.0) -> Figure:
    """Draw the mean `value` against lag: a column a task, a row a cell, a line a rule.

    lift: between lines, so that those on top of each other are seen.
    """
    tasks, cells = list(dict.fromkeys(frame["task"])), list(dict.fromkeys(frame["cell"]))
    figure, grid = panels(len(cells), len(tasks), width=2.3, height=1.9, sharex=True, sharey=True)
    for line, cell in zip(grid, cells, strict=True):
        mine = frame[frame["cell"] == cell]
        names = list(dict.fromkeys(mine["rule"]))
        for axes, task in zip(line, tasks, strict=True):
            for number, rule in enumerate(names):
                values = mine[(mine["task"] == task) & (mine["rule"] == rule)].groupby("lag")["value"].mean()
                style = "--" if "RMSprop" in rule else "-"
                look = {"color": _shade(rule), "linestyle": style, "marker": "o"}
                axes.plot(values.index, values + lift * (number - len(names) / 2), label=rule, markersize=3, **look)
            axes.set(xscale="log", ylim=(-0.1, 1.25))
            axes.set_xticks([5, 10, 25, 50, 100], ["5", "10", "25", "50", "100"])
            axes.minorticks_off()
        line[0].set_ylabel(f"{cell}\n{said}")
        legend(line[-1], loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize="x-small")
    for axes, task in zip(grid[0], tasks, strict=True):
        axes.set_title(task)
    for axes in grid[-1]:
        axes.set_xlabel("lag (steps)")
    return figure


def _shade(rule: str) -> str:
    """The colour of a rule, whatever its optimiser and however often it updates."""
    return SHADES[re.split(",| every", rule)[0]]


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
    figure, (line,) = panels(1, len(tasks), width=2.3, height=2.1, sharey=True)
    for axes, task in zip(line, tasks, strict=True):
        group = rows[rows["curve"] == task]
        for rule, name in MEASURED.items():
            cosine = _median(group, rule)[:-1]
            axes.plot(range(len(cosine)), cosine, color=_shade(name), label=name, linewidth=1)
        axes.set(title=task, xlabel="lag k (steps)", ylim=(-0.6, 1.05))
        axes.axhline(0, color="0.6", linewidth=0.8)
    line[0].set_ylabel("cosine with that of BPTT")
    legend(line[-1], loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize="x-small")
    return figure


if __name__ == "__main__":
    command(__doc__, HERE, main)
