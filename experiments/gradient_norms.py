"""Does a cell that solves a task lengthen its gradient's reach?

    rnngen sweep --config=configs/sweeps/demo.py --workdir=runs/demo
    rnngen pack runs/demo experiments/gradient_norms
    python experiments/gradient_norms.py

Draws the norm of dL/dh_t against t on a log axis, one curve a cell with its range over seeds, at initialisation and
after training, as Arjovsky, Shah and Bengio 2016, figure 4; of any other sweep with the diagnosis `gradient_flow` too.
What was found stands in README.md beside the records.
"""

from pathlib import Path

import pandas as pd

from rnngen.report import command, present, style, summary
from rnngen.report.columns import columns
from rnngen.report.figures import gradient_norms

HERE = Path(__file__).with_suffix("")


def main(folder: Path) -> None:
    """Draw the figures of the records, the headline's against t and not against lag, and print the table."""
    present(folder, table)
    figure = gradient_norms(folder, leaf="layer_0/h", against="t")
    if figure is None:
        raise FileNotFoundError(f"{folder} has no gradient norms: run it with config.diagnose.what=('gradient_flow',)")
    for path in style.save(figure, folder / "figures" / "gradient_norms_over_time"):
        print(path)


def table(folder: Path) -> pd.DataFrame:
    """A row a task and cell, as the report has it."""
    return pd.DataFrame({column.heading: column.texts for column in columns(summary(folder))})


if __name__ == "__main__":
    command(__doc__, HERE, main)
