"""Bai, Kolter and Koltun 2018, table 1, the RNN, GRU and LSTM columns: adding and copy memory at long lags.

    for part in adding_search adding copy_search copy copy_full; do
        rnngen sweep --config=configs/sweeps/long_memory_$part.py --workdir=runs/$part
        rnngen export runs/$part experiments/long_memory/$part
    done
    python experiments/long_memory.py

What was found stands in README.md beside the records.
"""

import math
from pathlib import Path

import pandas as pd

from rnngen.report.experiment import command, present
from rnngen.runs.sweep import Sweep
from rnngen.storage.folder import TRAINED

HERE = Path(__file__).with_suffix("")
# Bai et al. 2018, table 1, by task and length of the sequences: test loss.
PUBLISHED = {
    ("adding", 600): {"RNN": 0.177, "GRU": 5.3e-5, "LSTM": 0.164},
    ("copy_memory", 1000): {"RNN": 0.0202, "GRU": 0.0197, "LSTM": 0.0204},
}
GOAL = {"adding": 1e-3}


def table(sweep: Sweep) -> pd.DataFrame:
    """A row a length and cell: test loss over seeds, chance, what was published, and how many seeds are at chance.

    Of a search: a row a setting, and the loss on valid, by which it was chosen.
    """
    results = sweep.results
    results = results[results["status"].isin(TRAINED)]
    if sweep.name.endswith("_search"):
        return _search(results)
    rows = []
    for (length, cell), group in results.groupby(["config.task.kwargs.length", "config.cell.name"]):
        task, name = group["config.task.name"].iloc[0], str(cell).upper()
        # A loss that is no number any more is worse than any.
        loss, chance = group["metrics.test.loss"].astype(float).fillna(math.inf), float(group["baseline"].iloc[0])
        row = {"T": int(length), "cell": name, "seeds": len(group)}
        row["test loss, median [least, greatest]"] = f"{loss.median():.3g} [{loss.min():.3g}, {loss.max():.3g}]"
        if task in GOAL:
            row[f"under {GOAL[task]:g}"] = f"{int((loss < GOAL[task]).sum())}/{len(group)}"
        published = PUBLISHED.get((task, int(length)), {}).get(name)
        row |= {"chance": chance, "at chance": f"{int((loss > 0.9 * chance).sum())}/{len(group)}"}
        row |= {
            "Bai et al.": published if published is not None else "-",
            "updates, median": int(group["step"].median()),
        }
        rows.append(row | {"parameters": int(group["parameters"].iloc[0])})
    return pd.DataFrame(rows)


def _search(results: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for _, run in results.iterrows():
        chrono, start = run["config.cell.kwargs.chrono"], run.get("config.cell.kwargs.recurrent_init.name")
        if run["config.cell.name"] == "rnn":
            how = "identity" if start == "identity" else "orthogonal"
        else:
            how = f"chrono {int(chrono)}" if chrono > 0 else "no chrono"
        row = {
            "cell": run["config.cell.name"].upper(),
            "start": how,
            "learning rate": run["config.optim.learning_rate"],
        }
        rows.append(row | {"valid loss": float(run["metrics.valid.loss"]), "updates": int(run["step"])})
    return pd.DataFrame(rows)


if __name__ == "__main__":
    command(__doc__, HERE, lambda folder: present(folder, table))
