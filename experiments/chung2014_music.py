"""Chung, Gulcehre, Cho and Bengio 2014, table 2, on JSB chorales and MuseData: do gates pay at equal size?

    rnngen sweep --config=configs/sweeps/chung2014_music.py --workdir=runs/chung2014_music
    rnngen export runs/chung2014_music experiments/chung2014_music
    python experiments/chung2014_music.py

What was found stands in README.md beside the records.
"""

from pathlib import Path

import pandas as pd

from rnngen.report.experiment import command, present, spread
from rnngen.runs.sweep import Sweep

HERE = Path(__file__).with_suffix("")
# Chung et al. 2014, table 2, test nats a frame: recalled, not read again.
PUBLISHED = {
    "jsb_chorales": {"RNN": 9.10, "GRU": 8.54, "LSTM": 8.67},
    "musedata": {"RNN": 6.23, "GRU": 5.99, "LSTM": 6.23},
}
# Each key's own first-order Markov chain, 176 numbers, frames from the second on.
MARKOV = {"jsb_chorales": 10.49, "musedata": 8.56}


def table(sweep: Sweep) -> pd.DataFrame:
    """A row a set and cell: test over seeds, beside what the paper has."""
    results, rows = sweep.results, []
    for (music, cell), group in results.groupby(["config.task.kwargs.name", "config.cell.name"], sort=False):
        name, test = str(cell).upper(), group["metrics.test.loss"].astype(float)
        rows.append(
            {
                "set": music,
                "cell": name,
                "units": int(group["config.cell.kwargs.hidden_dim"].iloc[0]),
                "parameters": int(group["parameters"].iloc[0]),
                "seeds": len(group),
                "test nats a frame, median [least, greatest]": spread(test, 2),
                "Chung et al. (recalled)": f"{PUBLISHED[str(music)][name]:.2f}",
                "Markov chain": f"{MARKOV[str(music)]:.2f}",
            }
        )
    return pd.DataFrame(rows)


if __name__ == "__main__":
    command(__doc__, HERE, lambda folder: present(folder, table))
