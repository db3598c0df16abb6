"""Pascanu, Mikolov and Bengio 2013, figure 7: which training solves the temporal-order problem, at which length?

    rnngen sweep --config=configs/sweeps/pascanu2013_success_rate.py --workdir=runs/pascanu
    rnngen export runs/pascanu experiments/pascanu2013_success_rate
    python experiments/pascanu2013_success_rate.py

What was found stands in README.md beside the records, which also has the longer sequences (`pascanu2013_lengths`).
"""

from pathlib import Path

import pandas as pd

from rnngen.report.experiment import command, present
from rnngen.report.tables import wilson
from rnngen.runs.sweep import Sweep

HERE = Path(__file__).with_suffix("")


def table(sweep: Sweep) -> pd.DataFrame:
    """Seeds that solved the task, of those that ran to the goal or the cap, by start, training and length."""
    frame = sweep.axes[["cell", "optim.clip_norm", "task.kwargs.length"]].set_axis(
        ["start", "training", "length"], axis=1
    )
    results = frame.join(sweep.results.set_index("trial")[["status", "solved"]])
    results = results[results["status"].isin(("finished", "diverged"))]
    cells = results.groupby(["start", "training", "length"], sort=False)["solved"].agg(_share).unstack("length")
    return cells.fillna("not run").reset_index()


def _share(solved: pd.Series) -> str:
    low, high = wilson(int(solved.sum()), len(solved))
    return f"{int(solved.sum())}/{len(solved)} [{low:.2f}, {high:.2f}]"


if __name__ == "__main__":
    command(__doc__, HERE, lambda folder: present(folder, table))
