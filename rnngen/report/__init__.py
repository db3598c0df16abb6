"""From records to tables, figures and one page. Everything takes a `Run` or a `Sweep` that was opened once."""

from pathlib import Path

import pandas as pd

from rnngen.diagnostics import FIGURES as DIAGNOSIS_FIGURES
from rnngen.diagnostics.generalisation import length_table
from rnngen.diagnostics.reaches import plot_three_reaches as three_reaches
from rnngen.plotting.figure import DrawnFigure, NothingToDraw
from rnngen.plotting.style import save
from rnngen.report import page, tables
from rnngen.report.effects import axis_effects
from rnngen.report.learning import learning_curves
from rnngen.report.scores import horizons, losses, success_rates
from rnngen.report.sizes import sizes
from rnngen.report.tex import latex
from rnngen.report.windows import learning_rate_window, learning_rate_windows
from rnngen.runs.run import Run
from rnngen.runs.sweep import Sweep

FIGURES: tuple[DrawnFigure, ...] = (
    learning_curves,
    axis_effects,
    success_rates,
    losses,
    horizons,
    sizes,
    learning_rate_window,
    *DIAGNOSIS_FIGURES.values(),
    three_reaches,
)
# Beyond these a curve or a panel for each setting cannot be told from the next, and drawing them takes minutes.
MOST_SETTINGS, MOST_TRIALS = 100, 2000
_NOTE = (
    "Figures with a curve or a panel for each setting are not drawn of a search, nor of "
    f"more than {MOST_SETTINGS} settings or {MOST_TRIALS:,} trials."
)
__all__ = ["FIGURES", "NothingToDraw", "latex", "learning_rate_windows", "length_table", "save", "summary", "write"]
__all__ += [draw.__name__ for draw in FIGURES]


def __getattr__(name: str) -> DrawnFigure:
    """Return the figure of a diagnosis."""
    found = next((draw for draw in DIAGNOSIS_FIGURES.values() if draw.__name__ == name), None)
    if found is None:
        raise AttributeError(f"module 'rnngen.report' has no attribute {name!r}")
    return found


def summary(records: Run | Sweep) -> pd.DataFrame:
    """Make the table of a sweep; see `tables.summary`.

    Args:
      records: what `rnngen.open` gives.

    Returns:
      A DataFrame, one row a setting.
    """
    return tables.summary(records.as_sweep())


def write(records: Run | Sweep) -> list[Path]:
    """Write `table.csv`, `table.tex`, `figures/` and `report.html` into the folder of the records.

    Args:
      records: what `rnngen.open` gives.

    Returns:
      The files.
    """
    sweep = records.as_sweep()
    folder, rows = sweep.path, tables.summary(sweep)
    rows.to_csv(folder / "table.csv", index=False)
    (folder / "table.tex").write_text(latex(rows), encoding="utf-8")
    crowded = len(rows) > MOST_SETTINGS or len(sweep) > MOST_TRIALS or sweep.is_search
    drawn = []
    for draw in (axis_effects,) if crowded else FIGURES:
        try:
            figure = draw(sweep)
        except NothingToDraw:
            continue
        drawn.append(page.Drawn(draw.__name__, draw.caption, save(figure, folder / "figures" / draw.__name__)))
    whole = page.render(sweep, rows, drawn, _NOTE if crowded else "")
    (folder / "report.html").write_text(whole, encoding="utf-8")
    files = [path for figure in drawn for path in figure.files]
    return [folder / "table.csv", folder / "table.tex", *files, folder / "report.html"]
