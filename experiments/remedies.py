"""What helps a recurrent network to remember? One remedy at a time, scored by memory horizon and by success.

    rnngen sweep --config=configs/sweeps/remedies.py --workdir=runs/remedies
    rnngen export runs/remedies experiments/remedies
    python experiments/remedies.py

What was found stands in README.md beside the records.
"""

from pathlib import Path

import pandas as pd

from rnngen.report.experiment import AFTER, BEFORE, command, outcomes, present
from rnngen.report.tables import wilson
from rnngen.runs.sweep import Sweep

HERE = Path(__file__).with_suffix("")


def table(sweep: Sweep) -> pd.DataFrame:
    """A row a remedy: success with its interval, updates to it, and half-lives before and after training."""
    frame = outcomes(sweep).assign(remedy=sweep.setting_names)
    rows = []
    for remedy, group in frame.groupby("remedy", sort=False):
        solved, reached = int(group["solved"].sum()), group["updates"].dropna()
        low, high = wilson(solved, len(group))
        rows.append(
            {
                "remedy": remedy,
                "solved": f"{solved}/{len(group)} [{low:.2f}, {high:.2f}]",
                "updates until then, median": int(reached.median()) if len(reached) else "-",
                "half-life before": float(group[BEFORE].astype(float).median()),
                "half-life after": float(group[AFTER].astype(float).median()),
            }
        )
    return pd.DataFrame(rows)


if __name__ == "__main__":
    command(__doc__, HERE, lambda folder: present(folder, table))
