"""Write the table and the figures of a folder again.

The folder is that of a run, a sweep or exported records, or one that holds such folders.
"""

import sys
from argparse import Namespace
from pathlib import Path

from rnngen.cli.parser import Parser, path

EXAMPLE = "rnngen report runs/demo"


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("folder", metavar="DIR", type=path, help="the folder")
    about = "with the trials that the sweep's command, as it was last given, leaves out"
    parser.add_argument("--all", action="store_true", help=about)


def run(options: Namespace) -> int:
    """Write every report in the folder; 1 where a trial failed."""
    from rnngen.runs import record_folders

    return max(show(folder, options.all) for folder in record_folders(options.folder))


def show(folder: Path, all: bool = False) -> int:
    """Write a folder's report, print its table, its files and failures; 1 where a trial failed.

    all: see `rnngen.open`.
    """
    from rnngen import report
    from rnngen.report import screen, tables
    from rnngen.runs import open_sweep

    sweep = open_sweep(folder, all=all)
    written = report.write(sweep)
    screen.show(tables.summary(sweep))
    for file in written:
        print(file)
    failed = tables.failures(sweep)
    for line in failed:
        print(f"failed: {line}", file=sys.stderr)
    return 1 if failed else 0
