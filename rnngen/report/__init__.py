"""From records to a table and figures; never touches a model."""

import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from rnngen.report import figures, scores, spectra, style
from rnngen.report.tables import cost, failures, markdown, summary

__all__ = ["failures", "present", "summary", "write"]

# Each draws what it finds in the records, or nothing.
FIGURES = (
    figures.learning_curves,
    figures.gradient_norms,
    figures.carry_norms,
    scores.success_rates,
    scores.losses,
    scores.horizons,
    scores.length_generalisation,
    spectra.lyapunov_spectra,
    spectra.jacobian_conditions,
    spectra.recurrent_eigenvalues,
    spectra.gate_statistics,
)


def write(folder: str | os.PathLike) -> list[Path]:
    """Write `table.csv` and `figures/` of a run's or sweep's folder, or of packed records; return what was written.

    Raises FileNotFoundError where `folder` holds none of these.
    """
    folder = Path(folder)
    summary(folder).to_csv(folder / "table.csv", index=False)
    written = [folder / "table.csv"]
    for draw in FIGURES:
        figure = draw(folder)
        if figure is not None:
            written += style.save(figure, folder / "figures" / draw.__name__)
    return written


def present(folder: str | os.PathLike, table: Callable[[Path], pd.DataFrame]) -> None:
    """What an experiment does with its records: `write`, then print the experiment's own table and what it cost."""
    for path in write(folder):
        print(path)
    print(markdown(table(Path(folder))), cost(folder), sep="\n\n")
