"""Show how far a sweep is, and its best trial.

Trials done, running and failed, the best so far, and the time left.
"""

from argparse import Namespace

from rnngen.cli.parser import Parser, path

EXAMPLE = "rnngen status runs/demo"


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("folder", metavar="DIR", type=path, help="folder of the sweep")


def run(options: Namespace) -> int:
    """Print the progress."""
    from rnngen.sweep import progress

    print("\n".join(progress.status(options.folder)))
    return 0
