"""Lyapunov spectra of three cells and of a flossed RNN, before and after training on adding at T = 100.

    rnngen sweep --config=configs/sweeps/lyapunov_spectra.py --workdir=runs/lyapunov
    rnngen export runs/lyapunov experiments/lyapunov_spectra
    python experiments/lyapunov_spectra.py

What was found stands in README.md beside the records.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from rnngen.report.experiment import command, present
from rnngen.runs.sweep import Sweep

HERE = Path(__file__).with_suffix("")


def table(sweep: Sweep) -> pd.DataFrame:
    """A row a cell and moment: the largest exponent, how many lie near zero, the condition number, success."""
    spectra, products = sweep.diagnosed("lyapunov_spectrum"), sweep.diagnosed("jacobian_products")
    solved = sweep.results.set_index("trial")["solved"].fillna(False).astype(bool)
    rows = []
    for (cell, step), group in spectra.groupby(["curve", "step"], sort=False):
        exponents = [np.array(e["median"]) for e in group["exponents"]]
        there = products[(products["curve"] == cell) & (products["step"] == step)]
        conditions = [c["median"][-1] for c in there["log10_condition"]]
        rows.append(
            {
                "cell": cell,
                "update": step,
                "largest exponent, nats a step": float(np.median([e.max() for e in exponents])),
                "exponents within 0.05 of zero": f"{np.median([np.mean(np.abs(e) < 0.05) for e in exponents]):.0%}",
                "log10 condition number at the largest lag": float(np.median(conditions)),
                "solved by the end": f"{int(solved[group['trial']].sum())}/{len(group)}",
            }
        )
    return pd.DataFrame(rows)


if __name__ == "__main__":
    command(__doc__, HERE, lambda folder: present(folder, table))
