"""From records to a table and figures; never touches a model."""

import os
from pathlib import Path

from rnngen.report import figures
from rnngen.report.tables import failures, summary

__all__ = ["failures", "summary", "write"]


def write(folder: str | os.PathLike) -> list[Path]:
    """Write `table.csv` and `figures/` of a run's or sweep's folder; return what was written.

    Raises FileNotFoundError where `folder` holds neither.
    """
    folder = Path(folder)
    summary(folder).to_csv(folder / "table.csv", index=False)
    written = [folder / "table.csv"]
    for draw in (figures.learning_curves, figures.gradient_norms):
        figure = draw(folder)
        if figure is not None:
            written += figures.save(figure, folder / "figures" / draw.__name__)
    return written
