"""Check a task against every law of the task contract.

Prints each law that is broken, and what a task that keeps them all is made of. Finite splits are drawn once.
"""

from argparse import Namespace

from rnngen.cli.check_cell import check_file, factory_arguments
from rnngen.cli.parser import Parser

EXAMPLE = "rnngen check-task adding --length=50"


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    parser.usage = f"{parser.prog} NAME [--ARGUMENT=VALUE ...]"
    parser.passes_on = "--"
    parser.epilog = "Every other option is an argument of the factory: --length=50 --eval_size=500."
    parser.add_argument("name", metavar="NAME", help="a built-in task, or package.module:factory")


def run(options: Namespace) -> int:
    """Print what each law finds; 1 where one is broken."""
    from rnngen import runtime
    from rnngen.config import base_config, build_task, component, resolve
    from rnngen.config.check import as_call, error_at
    from rnngen.testing import examine_task

    kwargs = factory_arguments("task", options.rest)
    with error_at("JAX"):
        runtime.start()
    config = base_config()
    config.task = component(options.name, **kwargs)
    resolved = resolve(config)
    task = build_task(resolved.task)
    print(as_call(resolved.task), flush=True)
    report = examine_task(task, on_finding=lambda finding: print(finding, flush=True))
    print(*report.rest(), sep="\n")
    if report.broken:
        print(f"broken: {', '.join(report.broken)}")
        return 1
    check_file(resolved, "task")
    print(f'all laws are kept; in a config: config.task = component("{options.name}", ...)')
    return 0
