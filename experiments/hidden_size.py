"""How large should the hidden state be? Chosen by cross-validation on a small set and by a hold-out on a large one.

    rnngen sweep --config=configs/sweeps/hidden_size.py --workdir=runs/hidden_size
    rnngen export runs/hidden_size experiments/hidden_size
    python experiments/hidden_size.py

What was found stands in README.md beside the records.
"""

from pathlib import Path

import pandas as pd

from rnngen.report.experiment import command, present
from rnngen.report.sizes import chosen
from rnngen.runs.sweep import Sweep

HERE = Path(__file__).with_suffix("")


def table(sweep: Sweep) -> pd.DataFrame:
    """A row a task and size: mean loss on train and valid in nats, how many runs, and by what the size was chosen."""
    rows = chosen(sweep)
    rows["chosen"] = rows.pop("by").where(rows["chosen"], "-")
    return rows


if __name__ == "__main__":
    command(__doc__, HERE, lambda folder: present(folder, table))
