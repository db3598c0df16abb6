"""Arjovsky, Shah and Bengio 2016, figure 4: norms of dC/dh_t and of h_t on adding, at first and after 100 updates.

    rnngen sweep --config=configs/sweeps/arjovsky2016_gradient_norms.py --workdir=runs/arjovsky
    rnngen export runs/arjovsky experiments/arjovsky2016_gradient_norms
    python experiments/arjovsky2016_gradient_norms.py

What was found stands in README.md beside the records.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from rnngen.plotting import style
from rnngen.report import gradient_norms
from rnngen.report.experiment import command, present
from rnngen.runs.sweep import Sweep

HERE = Path(__file__).with_suffix("")


def main(folder: Path) -> None:
    """Draw the figures of the records, the paper's against t and not against lag, and print the table."""
    for sweep in present(folder, table):
        style.save(gradient_norms(sweep, leaf="layer_0/h", against="t"), folder / "figures" / "figure_4")


def table(sweep: Sweep) -> pd.DataFrame:
    """Half-lives, the whole fall of the norm from t = T to t = 1, and the size of h_T, before and after."""
    rows = []
    flows, norms = sweep.diagnosed("gradient_flow"), sweep.diagnosed("carry_norms")
    for (moment, chosen), sizes in zip(sweep.moments(flows).items(), sweep.moments(norms).values(), strict=True):
        for cell, group in chosen.groupby("curve", sort=False):
            curves = [c["layer_0/h"]["median"] for c in group["curves"]]
            falls = [curve[-1] - curve[0] for curve in curves]
            lives = [h["all"]["steps"] for h in group["half_life"]]
            last = [_h(c["norm"])["median"][-1] for c in sizes.loc[sizes["curve"] == cell, "curves"]]
            row = {"cell": cell, "when": moment, "half-life, steps": _spread(lives)}
            rows.append(row | {"log10 of the norm, t = 1 over t = T": _spread(falls), "norm of h_T": _spread(last)})
    return pd.DataFrame(rows)


def _h(norms: dict) -> dict:
    return norms.get("layer_0/h") or norms["layer_0"]


def _spread(values: list[float]) -> str:
    low, middle, high = np.min(values), np.median(values), np.max(values)
    return f"{middle:.3g} [{low:.3g}, {high:.3g}]"


if __name__ == "__main__":
    command(__doc__, HERE, main)
