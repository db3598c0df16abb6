"""List config keys and everything a config can name.

Keys with their defaults; cells, tasks, engines, initialisers, latent models, optimisers, schedules,
regularisers, diagnoses, codecs, executors and trackers with their arguments.
"""

from argparse import Namespace

from rnngen.cli.parser import Parser

EXAMPLE = "rnngen list --long"


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("--long", action="store_true", help="also equations, papers, structure and engines")


def run(options: Namespace) -> int:
    """Print the keys of a config, and every component that a config can name."""
    from rnngen.cli.catalogue import show

    show(options.long)
    return 0
