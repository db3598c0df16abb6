"""From records to tables, figures and one page; never touches a model."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from rnngen.report import effects, figures, page, scores, sizes, spectra, style
from rnngen.report.tables import axes, cost, failures, is_search, markdown, summary
from rnngen.report.tex import latex
from rnngen.runs.records import PACKED, sweep
from rnngen.storage.jsonl import DamagedFile

__all__ = ["command", "failures", "folders", "latex", "present", "summary", "write"]

# Each draws what it finds in the records, or nothing.
FIGURES = (
    figures.learning_curves,
    effects.axis_effects,
    figures.gradient_norms,
    figures.carry_norms,
    scores.success_rates,
    scores.losses,
    scores.horizons,
    scores.length_generalisation,
    sizes.sizes,
    spectra.lyapunov_spectra,
    spectra.jacobian_conditions,
    spectra.recurrent_eigenvalues,
    spectra.gate_statistics,
)
# Beyond these a curve or a panel for each setting cannot be told from the next, and drawing them takes minutes.
MOST_SETTINGS, MOST_TRIALS = 100, 2000
_NOTE = (
    "Figures with a curve or a panel for each setting are not drawn of a search, nor of "
    f"more than {MOST_SETTINGS} settings or {MOST_TRIALS:,} trials."
)


def write(folder: str | os.PathLike) -> list[Path]:
    """Write `table.csv`, `table.tex`, `figures/` and `report.html` of a run's or sweep's folder, or of packed records.

    Returns what was written. Raises FileNotFoundError where `folder` holds none of these.
    """
    folder, rows = Path(folder).expanduser(), summary(folder)
    rows.to_csv(folder / "table.csv", index=False)
    (folder / "table.tex").write_text(latex(rows), encoding="utf-8")
    drawn, crowded = {}, _crowded(folder, rows)
    for draw in (effects.axis_effects,) if crowded else FIGURES:
        figure = draw(folder)
        if figure is not None:
            drawn[draw.__name__] = style.save(figure, folder / "figures" / draw.__name__)
    whole = page.render(folder, rows, drawn, _NOTE if crowded else "")
    (folder / "report.html").write_text(whole, encoding="utf-8")
    figure_files = [path for paths in drawn.values() for path in paths]
    return [folder / "table.csv", folder / "table.tex", *figure_files, folder / "report.html"]


def _crowded(folder: Path, rows: pd.DataFrame) -> bool:
    frame = axes(folder)
    return len(rows) > MOST_SETTINGS or len(frame) > MOST_TRIALS or is_search(sweep(folder), frame)


def folders(folder: str | os.PathLike) -> list[Path]:
    """The folders of records to report on: that of a run or a sweep itself, or of packed records also those within.

    Raises FileNotFoundError where there are none.
    """
    folder = Path(folder).expanduser()
    if any((folder / name).exists() for name in ("config.json", "sweep.json")):
        return [folder]
    found = [path for path in (folder, *sorted(folder.glob("*"))) if (path / PACKED).exists()]
    if not found:
        neither = f"{folder} holds neither a run (config.json) nor a sweep (sweep.json)"
        raise FileNotFoundError(f"{neither}, nor packed records ({PACKED}), and no folder in it holds these")
    return found


def present(folder: str | os.PathLike, table: Callable[[Path], pd.DataFrame]) -> None:
    """What an experiment does with its records: `write`, then print the experiment's own table and what it cost."""
    for one in folders(folder):
        told = markdown(table(one))  # first, since records of another experiment have none
        print(*write(one), sep="\n")
        print(told, cost(one), sep="\n\n")


def command(says: str | None, home: Path, run: Callable[[Path], None]) -> None:
    """The command line of an experiment's script: `--help`, or the folder of records to run on.

    says: the script's docstring. home: the folder of the committed records, where none is given. Exit status 2 and one
    line for a folder that holds no records, or none of such an experiment.
    """
    parser = argparse.ArgumentParser(description=says, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "folder", nargs="?", type=Path, default=home, help="records to draw and to tell of: %(default)s"
    )
    folder = parser.parse_args().folder
    try:
        run(folder)
    except (FileNotFoundError, DamagedFile) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    except KeyError as error:
        parser.exit(2, f"{parser.prog}: {folder} holds another experiment: its records have no {error}\n")
