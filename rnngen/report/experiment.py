"""What the script of an experiment does with its records: a command line, figures, a page and a table."""

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
    """Write the reports of all records in a folder, and print the experiment's own table of each and what it cost.

    Returns:
      The records.
    """
    sweeps = [open_sweep(one) for one in record_folders(folder)]
    for sweep in sweeps:
        told = markdown(table(sweep))  # first, since records of another experiment have none
        print(*report.write(sweep), sep="\n")
        print(told, cost(sweep), sep="\n\n")
    return sweeps


def command(says: str | None, home: Path, run: Callable[[Path], object]) -> None:
    """Be the command line of an experiment's script: `--help`, or the folder of records to run on.

    Exit status 2 and one line for a folder that holds no records, or none of such an experiment.

    Args:
      says: the script's docstring.
      home: the folder of the committed records, where none is given.
      run: what to do with the folder.
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
