"""What helps a recurrent network to remember? One remedy at a time, scored by memory horizon and by success.

    rnngen sweep --config=configs/sweeps/remedies.py --workdir=runs/remedies
    rnngen export runs/remedies experiments/remedies
    python experiments/remedies.py

What was found stands in README.md beside the records.
"""

from pathlib import Path

import pandas as pd

from rnngen.report.experiment import command, present
from rnngen.report.tables import wilson
from rnngen.runs.sweep import Sweep

HERE = Path(__file__).with_suffix("")


def table(sweep: Sweep) -> pd.DataFrame:
    """A row a remedy: success with its interval, updates to it, and half-lives before and after training."""
    results = sweep.results.set_index("trial").assign(remedy=sweep.setting_names)
    rows = []
    for remedy, group in results.groupby("remedy", sort=False):
        solved = group["solved"].fillna(False).astype(bool)
        low, high = wilson(int(solved.sum()), len(solved))
        reached = group.loc[solved, "step"]
        rows.append(
            {
                "remedy": remedy,
                "solved": f"{int(solved.sum())}/{len(solved)} [{low:.2f}, {high:.2f}]",
                "updates until then, median": int(reached.median()) if len(reached) else "-",
                "half-life before": float(group["half_life.initial"].astype(float).median()),
                "half-life after": float(group["half_life.final"].astype(float).median()),
            }
        )
    return pd.DataFrame(rows)


if __name__ == "__main__":
    command(__doc__, HERE, lambda folder: present(folder, table))
