"""Run every check of the task contract on a task.

Prints each check that fails, and the parts of a task that passes all of them. Finite splits are drawn once.
"""

from argparse import Namespace

from rnngen.cli.check_cell import add_factory_arguments, check_file, factory_arguments, resolve_part, show_findings
from rnngen.cli.parser import Parser

EXAMPLE = "rnngen check-task adding --length=50"


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    add_factory_arguments(parser, "task", "--length=50 --eval_size=500")


def run(options: Namespace) -> int:
    """Print the finding of each check; 1 where one fails."""
    from rnngen.config import build_task
    from rnngen.testing import examine_task

    resolved = resolve_part("task", options.name, factory_arguments("task", options.rest))
    if not show_findings(examine_task, build_task(resolved.task), resolved.task):
        return 1
    check_file(resolved, "task")
    return 0
