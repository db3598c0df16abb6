"""Bai, Kolter and Koltun 2018, table 1, on real sequences: JSB chorales, and MNIST.

    for cell in rnn gru lstm; do
        rnngen sweep --config=configs/sweeps/bai2018_jsb_search.py --workdir=runs/jsb_$cell --config.cell.name=$cell
        rnngen export runs/jsb_$cell experiments/bai2018_table1/jsb_search_$cell
    done
    for part in jsb mnist mnist_longer mnist_lstm; do
        rnngen sweep --config=configs/sweeps/bai2018_$part.py --workdir=runs/$part
        rnngen export runs/$part experiments/bai2018_table1/$part
    done
    python experiments/bai2018_table1.py

Its adding and copy memory stand in `long_memory`. What was found stands in README.md beside the records.
"""

from pathlib import Path

import pandas as pd

from rnngen.report.experiment import command, present, spread
from rnngen.runs.sweep import Sweep

HERE = Path(__file__).with_suffix("")
# Bai et al. 2018, table 1: nats a frame, accuracy; and the tuned baselines in the repository of arXiv 2108.00527.
BAI = {
    "jsb": {"RNN": 8.91, "GRU": 8.43, "LSTM": 8.45},
    "sequential": {"RNN": 0.215, "GRU": 0.962, "LSTM": 0.872},
    "permuted": {"RNN": 0.253, "GRU": 0.873, "LSTM": 0.857},
}
TUNED = {
    "jsb": {"GRU": 8.20, "LSTM": 8.33},
    "sequential": {"GRU": 0.9836, "LSTM": 0.9288},
    "permuted": {"GRU": 0.9868, "LSTM": 0.9739},
}
MARKOV = 10.49  # each key's own first-order chain, 176 numbers, on JSB


def table(sweep: Sweep) -> pd.DataFrame:
    """A row a cell: test over seeds, beside what was published; of a search, a row a trial."""
    results = sweep.results
    if sweep.name.startswith("jsb_search"):
        return _search(results)
    return _jsb(results) if sweep.name == "jsb" else _mnist(results)


def _jsb(results: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for cell, group in results.groupby("config.cell.name", sort=False):
        name, test = str(cell).upper(), group["metrics.test.loss"].astype(float)
        rows.append(
            {
                "cell": name,
                "units": int(group["config.cell.kwargs.hidden_dim"].iloc[0]),
                "parameters": int(group["parameters"].iloc[0]),
                "seeds": len(group),
                "test nats a frame, median [least, greatest]": spread(test, 3),
                "valid, median": f"{group['metrics.valid.loss'].astype(float).median():.3f}",
                "Bai et al.": f"{BAI['jsb'][name]:.2f}",
                "tuned": f"{TUNED['jsb'][name]:.2f}" if name in TUNED["jsb"] else "-",
                "Markov chain": f"{MARKOV:.2f}",
            }
        )
    return pd.DataFrame(rows)


def _mnist(results: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (permuted, cell), group in results.groupby(["config.task.kwargs.permuted", "config.cell.name"], sort=False):
        order, name = "permuted" if permuted else "sequential", str(cell).upper()
        row = {"pixels": order, "cell": name, "parameters": int(group["parameters"].iloc[0]), "seeds": len(group)}
        row["updates"] = int(group["step"].iloc[0])
        row["test accuracy"] = f"{100 * group['metrics.test.accuracy'].astype(float).median():.1f} %"
        for what, published in (("Bai et al.", BAI), ("tuned", TUNED)):
            value = published[order].get(name)
            row[what] = "-" if value is None else f"{100 * value:.1f} %"
        rows.append(row)
    return pd.DataFrame(rows)


def _search(results: pd.DataFrame) -> pd.DataFrame:
    names = {"num_layers": "layers", "dropout": "dropout", "input_dropout": "input", "recurrent_dropout": "recurrent"}
    rows = []
    for _, run in results.sort_values("metrics.valid.loss").iterrows():
        row = {"status": run["status"], "valid": f"{run['metrics.valid.loss']:.3f}", "updates": int(run["step"])}
        row |= {shown: f"{run[f'config.model.{name}']:.2g}" for name, shown in names.items()}
        row |= {"locked": "yes" if run["config.model.locked_dropout"] else "no"}
        row |= {"learning rate": f"{run['config.optim.learning_rate']:.2g}"}
        rows.append(row | {"weight decay": f"{run['config.optim.kwargs.weight_decay']:.2g}"})
    return pd.DataFrame(rows)


if __name__ == "__main__":
    command(__doc__, HERE, lambda folder: present(folder, table))
