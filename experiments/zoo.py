"""Seventeen cells at one budget of 10,000 parameters on adding and copy memory: memory horizon against success.

    rnngen sweep --config=configs/sweeps/zoo.py --workdir=runs/zoo
    rnngen sweep --config=configs/sweeps/zoo_delta_rule.py --workdir=runs/zoo_delta_rule
    rnngen export runs/zoo experiments/zoo
    rnngen export runs/zoo_delta_rule experiments/zoo/delta_rule
    python experiments/zoo.py

What was found stands in README.md beside the records.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rnngen.plotting.figure import captioned
from rnngen.plotting.style import legend, panels, save
from rnngen.report.experiment import command, present
from rnngen.runs.sweep import Sweep

HERE = Path(__file__).with_suffix("")
MARKERS, COLOURS = "osD^v", ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def main(folder: Path) -> None:
    """Draw the figures of the records, of all of them together last, and print the tables."""
    sweeps = present(folder, table)
    for path in save(horizon_and_success(sweeps), folder / "figures" / "horizon_and_success"):
        print(path)


def trials(sweep: Sweep) -> pd.DataFrame:
    """A row a trial: task, cell, rate, width, losses, half-lives; infinite ones as such."""
    results, rows = sweep.results.set_index("trial"), sweep.metrics
    best = rows[rows["split"] == "valid"].groupby("trial")["loss"].min()
    frame = sweep.axes.join(results).join(best.rename("valid_loss"))
    frame["width"] = frame["config.cell.kwargs.hidden_dim"].astype(int)
    frame["removed"] = 1 - frame["metrics.test.loss"].astype(float) / frame["baseline"].astype(float)
    for moment in ("initial", "final"):
        frame[moment] = frame[f"half_life.{moment}"].astype(float)
    return frame


def chosen(sweep: Sweep) -> pd.DataFrame:
    """The trials of each task and cell at the learning rate whose median validation loss is the least."""
    frame = trials(sweep)
    by = ["task", "cell", "optim.learning_rate"]
    losses = frame.groupby(by, sort=False)["valid_loss"].median().reset_index()
    least = losses.loc[losses.groupby(by[:2], sort=False)["valid_loss"].idxmin(), by]
    order = frame.reset_index(names="trial")
    return order.merge(least, on=by).set_index("trial")


def table(sweep: Sweep) -> pd.DataFrame:
    """A row a task and cell: the chosen rate, the width, test loss and half-lives, medians of two seeds."""
    rows = []
    for (task, cell), group in chosen(sweep).groupby(["task", "cell"], sort=False):
        rows.append(
            {
                "task": task,
                "cell": cell,
                "units": int(group["width"].iloc[0]),
                "rate": float(group["optim.learning_rate"].iloc[0]),
                "test loss": float(group["metrics.test.loss"].astype(float).median()),
                "memoryless": float(group["baseline"].iloc[0]),
                "solved": f"{int(group['solved'].astype(bool).sum())}/{len(group)}",
                "half-life before": float(group["initial"].median()),
                "half-life after": float(group["final"].median()),
            }
        )
    return pd.DataFrame(rows)


@captioned("Horizon and success", "Half-life after training against what is gone of the memoryless loss.")
def horizon_and_success(sweeps: Sequence[Sweep]) -> Figure:
    """Half-life after training against the share of the memoryless loss that is gone: a point a seed."""
    frame = pd.concat([chosen(sweep) for sweep in sweeps])
    frame["cell"] = frame["cell"].str.replace(r", \d+ keys", "", regex=True)
    tasks, cells = list(dict.fromkeys(frame["task"])), list(dict.fromkeys(frame["cell"]))
    figure, (line,) = panels(1, len(tasks), width=3.2, height=3.0, sharey=True)
    finite = frame["final"].replace(np.inf, np.nan)
    edge = 10 ** np.ceil(np.log10(np.nanquantile(finite, 0.9)) + 0.5)  # where what does not fall is drawn
    for ax, task in zip(line, tasks, strict=True):
        for number, cell in enumerate(cells):
            group = frame[(frame["task"] == task) & (frame["cell"] == cell)]
            style = {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}
            ax.plot(
                group["final"].clip(upper=edge), group["removed"].clip(lower=-0.1), linestyle="", label=cell, **style
            )
        ax.axvline(edge, color="0.7", linewidth=0.6)
        ax.text(edge, 0.5, "longer", rotation=90, color="0.5", fontsize="x-small", ha="right", va="center")
        ax.set(xscale="log", title=task, xlabel="half-life after training (steps)")
    line[0].set_ylabel("share of the memoryless\nloss that is gone")
    legend(line[-1], loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize="x-small")
    return figure


if __name__ == "__main__":
    command(__doc__, HERE, main)
