"""Export the records of a folder to one small file.

OUT/records.jsonl.gz holds the records of a run or a sweep, without checkpoints; `rnngen report` reads it.
"""

from argparse import Namespace

from rnngen.cli.parser import Parser, path

EXAMPLE = "rnngen export runs/demo experiments/demo"


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("folder", metavar="DIR", type=path, help="folder of the run or sweep")
    parser.add_argument("out", metavar="OUT", type=path, help="folder that gets the file; no checkpoints go there")


def run(options: Namespace) -> int:
    """Write the file and print its path."""
    from rnngen.runs.export import export

    print(export(options.folder, options.out))
    return 0
