"""Does a cell that solves a task lengthen its gradient's reach?

    rnngen sweep --config=configs/sweeps/demo.py --workdir=runs/demo
    rnngen export runs/demo experiments/gradient_norms
    python experiments/gradient_norms.py

Draws the norm of dL/dh_t against t on a log axis, one curve a cell with its range over seeds, at initialisation and
after training, as Arjovsky, Shah and Bengio 2016, figure 4; of any other sweep with the diagnosis `gradient_flow` too.
What was found stands in README.md beside the records.
"""

from pathlib import Path

import pandas as pd

from rnngen.plotting import style
from rnngen.report import gradient_norms, summary
from rnngen.report.columns import columns
from rnngen.report.experiment import command, present
from rnngen.runs.sweep import Sweep

HERE = Path(__file__).with_suffix("")


def main(folder: Path) -> None:
    """Draw the figures of the records, the headline's against t and not against lag, and print the table."""
    for sweep in present(folder, table):
        figure = gradient_norms(sweep, leaf="layer_0/h", against="t")
        print(*style.save(figure, folder / "figures" / "gradient_norms_over_time"), sep="\n")


def table(sweep: Sweep) -> pd.DataFrame:
    """A row a task and cell, as the report has it."""
    return pd.DataFrame({column.heading: column.texts for column in columns(summary(sweep))})


if __name__ == "__main__":
    command(__doc__, HERE, main)
