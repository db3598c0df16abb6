"""Binarised MNIST, pixel by pixel: how likely are the test images after a stated part of the training?

    rnngen sweep --config=configs/sweeps/binarised_mnist.py --workdir=runs/binarised_mnist
    rnngen export runs/binarised_mnist experiments/binarised_mnist
    rnngen sweep --config=configs/sweeps/binarised_mnist_longer.py --workdir=runs/binarised_mnist_longer
    rnngen export runs/binarised_mnist_longer experiments/binarised_mnist/longer
    rnngen sweep --config=configs/sweeps/binarised_mnist_wider.py --workdir=runs/binarised_mnist_wider
    rnngen export runs/binarised_mnist_wider experiments/binarised_mnist/wider
    python experiments/binarised_mnist.py

What was found stands in README.md beside the records.
"""

from pathlib import Path

import pandas as pd

from rnngen.report.experiment import command, present
from rnngen.runs.sweep import Sweep

HERE = Path(__file__).with_suffix("")
# Test nats an image. NADE and the three layers of GRU (Lamb et al. 2016): recalled; the first measured on these files.
PUBLISHED = "pixels independent 205.79, NADE 88.33, three GRU layers 79.88"


def table(sweep: Sweep) -> pd.DataFrame:
    """A row a cell."""
    rows = []
    for _, run in sweep.results.iterrows():
        rows.append(
            {
                "cell": str(run["config.cell.name"]).upper(),
                "units": int(run["config.cell.kwargs.hidden_dim"]),
                "parameters": int(run["parameters"]),
                "updates": int(run["step"]),
                "test nats an image": f"{float(run['metrics.test.nats_per_image']):.1f}",
                "published": PUBLISHED,
            }
        )
    return pd.DataFrame(rows)


if __name__ == "__main__":
    command(__doc__, HERE, lambda folder: present(folder, table))
