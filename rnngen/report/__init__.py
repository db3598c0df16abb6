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
    written += figures.save(figures.learning_curves(folder), folder / "figures" / "learning_curves")
    norms = figures.gradient_norms(folder)
    if norms is not None:
        written += figures.save(norms, folder / "figures" / "gradient_norms")
    return written
