"""The script of an experiment: its command line, and the figures, page and table of its records."""

import argparse
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from rnngen import report
from rnngen.report.tables import cost, markdown
from rnngen.runs import open_sweep, record_folders
from rnngen.runs.sweep import Sweep
from rnngen.storage.jsonl import DamagedFile


def present(folder: Path, table: Callable[[Sweep], pd.DataFrame]) -> list[Sweep]:
    """Write the reports of all records in a folder, print the experiment's own table and the cost of each.

    Returns:
      The records.
    """
    sweeps = [open_sweep(one) for one in record_folders(folder)]
    for sweep in sweeps:
        told = markdown(table(sweep))  # first, since records of another experiment have none
        print(*report.write(sweep), sep="\n")
        print(told, cost(sweep), sep="\n\n")
    return sweeps


def spread(values: pd.Series, digits: int) -> str:
    """Return `median [least, greatest]` with so many decimals."""
    return "{:.{n}f} [{:.{n}f}, {:.{n}f}]".format(values.median(), values.min(), values.max(), n=digits)


def command(says: str | None, home: Path, run: Callable[[Path], object]) -> None:
    """Parse the command line of an experiment's script, `--help` or the folder of records, and run it.

    Exits with status 2 and one line for a folder that holds no records, or none of such an experiment.

    Args:
      says: the script's docstring.
      home: the folder of the committed records, the default.
      run: gets the folder.
    """
    parser = argparse.ArgumentParser(description=says, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "folder", nargs="?", type=Path, default=home, help="records to draw and to tell of: %(default)s"
    )
    folder = parser.parse_args().folder
    try:
        run(folder)
    except (FileNotFoundError, DamagedFile, report.NothingToDraw) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    except KeyError as error:
        parser.exit(2, f"{parser.prog}: {folder} holds another experiment: its records have no {error}\n")
