"""Tiny Shakespeare, a character at a time: what do RNN, GRU and LSTM of 512 units reach?

    rnngen sweep --config=configs/sweeps/char_rnn.py --workdir=runs/char_rnn
    rnngen export runs/char_rnn experiments/char_rnn
    python experiments/char_rnn.py

What was found, and a sample, stand in README.md beside the records.
"""

from pathlib import Path

import pandas as pd

from rnngen.report.experiment import command, present
from rnngen.runs.sweep import Sweep

HERE = Path(__file__).with_suffix("")


def table(sweep: Sweep) -> pd.DataFrame:
    """A row a cell: the best loss on the last tenth of the text."""
    results, rows = sweep.results, []
    for _, run in results.iterrows():
        valid = float(run["metrics.valid.loss"])
        rows.append(
            {
                "cell": str(run["config.cell.name"]).upper(),
                "units": int(run["config.cell.kwargs.hidden_dim"]),
                "parameters": int(run["parameters"]),
                "updates": int(run["step"]),
                "best at": int(run["chosen_step"]),
                "valid nats a character": f"{valid:.3f}",
                "bits": f"{float(run['metrics.valid.bits']):.3f}",
                "train (with dropout)": f"{float(run['metrics.train.loss']):.3f}",
                "hours": f"{float(run['train_seconds']) / 3600:.2f}",
            }
        )
    return pd.DataFrame(rows)


if __name__ == "__main__":
    command(__doc__, HERE, lambda folder: present(folder, table))
