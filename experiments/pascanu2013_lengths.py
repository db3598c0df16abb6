"""Pascanu, Mikolov and Bengio 2013, the other headline: trained on 50 to 200 steps, does it hold up to 5000?

    rnngen sweep --config=configs/sweeps/pascanu2013_lengths.py --workdir=runs/lengths
    rnngen export runs/lengths experiments/pascanu2013_lengths
    python experiments/pascanu2013_lengths.py

What was found stands in README.md beside the records.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from rnngen.report.experiment import command, present
from rnngen.runs.sweep import Sweep

HERE = Path(__file__).with_suffix("")


def table(sweep: Sweep) -> pd.DataFrame:
    """A row a network: seeds that solved the task at the lengths trained on, and accuracy at each other length."""
    rows = sweep.moments(sweep.diagnosed("length_generalisation"))["after training"]
    results = sweep.results.set_index("trial")
    found = []
    for setting, group in rows.groupby(sweep.setting_names.reindex(rows["trial"]).values, sort=False):
        solved = results.loc[group["trial"], "solved"].astype(bool)
        row = {"network": setting, "solved at 50 to 200": f"{int(solved.sum())}/{len(solved)}"}
        seeds = np.array([metrics["accuracy"] for metrics in group["metrics"]])
        for length, values in zip(group["lengths"].iloc[0], seeds.T, strict=True):
            row[str(length)] = f"{np.median(values):.2f} [{values.min():.2f}, {values.max():.2f}]"
        found.append(row)
    return pd.DataFrame(found)


if __name__ == "__main__":
    command(__doc__, HERE, lambda folder: present(folder, table))
