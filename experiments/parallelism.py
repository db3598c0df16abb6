"""Does reach cost parallelism? Newton's iterations and time against the largest Lyapunov exponent and the half-life.

    rnngen sweep --config=configs/sweeps/parallelism.py --workdir=runs/parallelism
    rnngen export runs/parallelism experiments/parallelism
    python experiments/parallelism.py

What was found stands in README.md beside the records.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rnngen.plotting.figure import captioned
from rnngen.plotting.style import colours, legend, panels, save
from rnngen.report.experiment import command, half_lives, present
from rnngen.runs.sweep import Sweep

HERE = Path(__file__).with_suffix("")
ITERATIONS, FELL_BACK = "layer_0/newton_iterations", "layer_0/newton_fell_back"
AXES = {"exponent": "largest Lyapunov exponent\n(nats a step)", "half_life": "half-life of the gradient\n(steps)"}
MARKERS = "osD^v<>Pp*"
LONGEST = 5000.0  # half-life in the figure


def main(folder: Path) -> None:
    """Draw the figure of the records, and print the table."""
    for sweep in present(folder, table):
        for path in save(iterations(sweep), folder / "figures" / "iterations"):
            print(path)


def moments(sweep: Sweep) -> pd.DataFrame:
    """A row a trial and moment of training: exponent, half-life, Newton's iterations, and how often it fell back."""
    spectra = sweep.diagnosed("lyapunov_spectrum")
    frame = spectra[["trial", "step", "curve"]].rename(columns={"curve": "cell"})
    frame["exponent"] = [max(of["median"]) for of in spectra["exponents"]]
    rows = sweep.metrics
    valid = rows[rows["split"] == "valid"][["trial", "step", ITERATIONS, FELL_BACK]]
    return frame.merge(half_lives(sweep), on=["trial", "step"]).merge(valid, on=["trial", "step"])


def table(sweep: Sweep) -> pd.DataFrame:
    """A row a cell and moment, before and after training: medians of three seeds; and the time of an update at last."""
    frame, rows = moments(sweep), []
    last, rates = frame["step"].max(), sweep.labelled("results").set_index("trial")["metrics.train.steps_per_second"]
    for (cell, step), group in frame[frame["step"].isin((0, last))].groupby(["cell", "step"], sort=False):
        rows.append(
            {
                "cell": cell,
                "update": step,
                "largest exponent, nats a step": float(group["exponent"].median()),
                "half-life, steps": float(group["half_life"].median()),
                "Newton's iterations": float(group[ITERATIONS].median()),
                "fell back to a scan": f"{group[FELL_BACK].mean():.0%}",
                "ms an update": round(float(1000 / rates[group["trial"]].median()), 1) if step == last else "-",
            }
        )
    return pd.DataFrame(rows)


@captioned(
    "Reach and parallelism",
    "Newton's iterations for 100 steps, against the largest Lyapunov exponent and the half-life of the gradient: "
    "a point a seed and moment of training, light before it and full at its end. At 50 it falls back to a scan. "
    "Half-lives above 5000 steps are drawn there.",
)
def iterations(sweep: Sweep) -> Figure:
    """Iterations against exponent, and against half-life."""
    frame = moments(sweep)
    cells, last = list(dict.fromkeys(frame["cell"])), frame["step"].max()
    shade = colours(cells)
    figure, (line,) = panels(1, len(AXES), width=3.4, height=2.8, sharey=True)
    for axes, (name, label) in zip(line, AXES.items(), strict=True):
        for number, cell in enumerate(cells):
            group = frame[(frame["cell"] == cell) & np.isfinite(frame[name])]
            alpha = 0.25 + 0.75 * group["step"] / last
            look = {"color": shade[cell], "marker": MARKERS[number % len(MARKERS)], "s": 18, "linewidths": 0}
            axes.scatter(np.minimum(group[name], LONGEST), group[ITERATIONS], alpha=alpha, **look)
            axes.scatter([], [], label=cell, **look)
        axes.set(xlabel=label, yscale="log")
    line[0].axvline(0, color="0.6", linewidth=0.8)
    line[1].set_xscale("log")
    line[0].set_ylabel("Newton's iterations")
    legend(line[-1], loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize="x-small")
    return figure


if __name__ == "__main__":
    command(__doc__, HERE, main)
