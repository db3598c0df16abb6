"""Check this installation, or a run's or sweep's folder.

Says what is wrong, and what the next start would do.
"""

from argparse import Namespace

from rnngen.cli.parser import Parser, path

EXAMPLE = "rnngen doctor runs/demo"


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    about = "folder of a run or a sweep; without one, the installation is checked"
    parser.add_argument("folder", metavar="DIR", type=path, nargs="?", help=about)


def run(options: Namespace) -> int:
    """Print a line for every check; 1 where something is wrong."""
    from rnngen import runtime
    from rnngen.config.check import error_at

    with error_at("JAX"):
        runtime.start()
    from rnngen.cli.checks import check_folder, check_installation

    bad = 0
    for finding in check_folder(options.folder) if options.folder else check_installation():
        print(f"{'ok ' if finding.good else 'BAD'}  {finding.line}", flush=True)
        bad += not finding.good
    return 1 if bad else 0
