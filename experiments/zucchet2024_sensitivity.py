"""Zucchet and Orvieto 2024: the longer the memory, the more a parameter moves the carry, though no gradient explodes.

    rnngen sweep --config=configs/sweeps/zucchet2024_sensitivity.py --workdir=runs/sensitivity
    rnngen export runs/sensitivity experiments/zucchet2024_sensitivity
    python experiments/zucchet2024_sensitivity.py

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


def main(folder: Path) -> None:
    """Draw the figure of the records, and print the table."""
    for sweep in present(folder, table):
        for path in save(sensitivities(sweep), folder / "figures" / "sensitivities"):
            print(path)


def points(sweep: Sweep) -> pd.DataFrame:
    """A row a trial before training: network, half-life that it was started for, that of its gradient, sensitivity."""
    found = sweep.diagnosed("parameter_sensitivity")
    frame = found[["trial", "step", "curve", "parameters", "carry"]].merge(half_lives(sweep), on=["trial", "step"])
    frame = frame[frame["step"] == 0].reset_index(drop=True)
    parts = frame["curve"].str.extract(r"(?P<network>.+); (?P<kept>\d+) steps")
    frame = frame.assign(network=parts["network"], kept=parts["kept"].astype(int))
    return frame.assign(sensitivity=[_of_cell(of) for of in frame["parameters"]])


def _of_cell(parameters: dict[str, float]) -> float:
    """The sensitivity to all parameters of the layer that act in the recurrence or on what enters it."""
    return float(np.sqrt(sum(x**2 for name, x in parameters.items() if name.startswith("layer_0/"))))


def table(sweep: Sweep) -> pd.DataFrame:
    """A row a network: sensitivity at the shortest and longest memory, and how it grows with the half-life."""
    rows = []
    for network, group in points(sweep).groupby("network", sort=False):
        medians = group.groupby("kept")[["half_life", "sensitivity", "carry"]].median()
        there = medians[np.isfinite(medians["half_life"])]
        slope = lambda of: np.polyfit(np.log(there["half_life"]), np.log(there[of]), 1)[0]  # noqa: E731, B023
        first, last = medians.iloc[0], medians.iloc[-1]
        rows.append(
            {
                "network": network,
                "half-life of the gradient, steps": f"{first['half_life']:.1f} to {last['half_life']:.1f}",
                "sensitivity": f"{first['sensitivity']:.3g} to {last['sensitivity']:.3g}",
                "norm of the carry": f"{first['carry']:.3g} to {last['carry']:.3g}",
                "sensitivity grows as half-life to the power": round(float(slope("sensitivity")), 2),
                "the carry": round(float(slope("carry")), 2),
            }
        )
    return pd.DataFrame(rows)


@captioned(
    "The curse of memory",
    "Root mean square of the last carry's derivative in all parameters of the layer, and the norm of that carry, "
    "against the half-life of the gradient, before training; a point a seed. Dotted: one unit h' = a h + u, in closed "
    "form, moved to the first point of the linear RNN.",
)
def sensitivities(sweep: Sweep) -> Figure:
    """Sensitivity and norm of the carry against half-life, a colour a network."""
    frame = points(sweep)
    shade = colours(list(dict.fromkeys(frame["network"])))
    figure, (line,) = panels(1, 2, width=3.4, height=2.8, sharex=True)
    for network, group in frame.groupby("network", sort=False):
        for axes, of in zip(line, ("sensitivity", "carry"), strict=True):
            axes.plot(group["half_life"], group[of], "o", markersize=4, color=shade[network], label=network)
    first = frame[frame["network"] == frame["network"].iloc[0]].sort_values("half_life").iloc[0]
    steps = np.geomspace(frame["half_life"].min(), frame["half_life"][np.isfinite(frame["half_life"])].max())
    of_unit = lambda half: 1 - 0.25 ** (1 / half)  # 1 - a^2  # noqa: E731
    closed = {
        "sensitivity": lambda half: np.sqrt((2 - of_unit(half)) / of_unit(half) ** 3),
        "carry": lambda half: 1 / np.sqrt(of_unit(half)),
    }
    for axes, (of, law) in zip(line, closed.items(), strict=True):
        axes.plot(steps, first[of] * law(steps) / law(first["half_life"]), ":", color="0.3", label="closed form")
        axes.set(xscale="log", yscale="log", xlabel="half-life of the gradient (steps)")
    line[0].set_ylabel(r"$\|\mathrm{d} c_T / \mathrm{d} \theta\|$")
    line[1].set_ylabel(r"$\|c_T\|$")
    legend(line[-1], loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize="x-small")
    return figure


if __name__ == "__main__":
    command(__doc__, HERE, main)
