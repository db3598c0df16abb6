"""Check a cell against every law of the cell contract.

Prints each law that is broken, and the speed and the memory horizon of a cell that keeps them all.
"""

import ast
from argparse import Namespace
from typing import TYPE_CHECKING, Any

from rnngen.cli.parser import Parser, UsageError

if TYPE_CHECKING:
    from rnngen.config import RunConfig

EXAMPLE = "rnngen check-cell lstm --hidden_dim=16"
HIDDEN_DIM = 8  # unless one is given


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    parser.usage = f"{parser.prog} NAME [--ARGUMENT=VALUE ...]"
    parser.passes_on = "--"
    parser.epilog = "Every other option is an argument of the factory: --hidden_dim=16 --forget_bias=1.0."
    parser.add_argument("name", metavar="NAME", help="a built-in cell, or package.module:factory")


def run(options: Namespace) -> int:
    """Print what each law finds; 1 where one is broken."""
    from rnngen import runtime
    from rnngen.config import base_config, build, build_cell, component, resolve, takes_hidden_dim
    from rnngen.config.check import as_call, error_at
    from rnngen.testing import examine_cell

    kwargs = factory_arguments("cell", options.rest)
    if "hidden_dim" not in kwargs and takes_hidden_dim(options.name):
        kwargs["hidden_dim"] = HIDDEN_DIM
    with error_at("JAX"):
        runtime.start()
    config = base_config()
    config.cell = component(options.name, **kwargs)
    resolved = resolve(config)
    cell = build_cell(resolved.cell)
    print(as_call(resolved.cell), flush=True)
    report = examine_cell(cell, on_finding=lambda finding: print(finding, flush=True))
    print(*report.rest(), sep="\n")
    if report.broken:
        print(f"broken: {', '.join(report.broken)}")
        return 1
    build(resolved)
    check_file(resolved, "cell")
    print(f'all laws are kept; in a config: config.cell = component("{options.name}", ...)')
    return 0


def check_file(resolved: "RunConfig", part: str) -> None:
    """Raise ConfigError unless a resolved config comes back from a file as it was."""
    from rnngen.config import resolve
    from rnngen.config.check import ConfigError
    from rnngen.storage.jsonl import dumps, loads

    again = resolve(loads(dumps(resolved.to_dict())))
    if again != resolved:
        raise ConfigError(
            f"config.{part}.kwargs: {getattr(again, part)} came back from a file for {getattr(resolved, part)}"
        )


def factory_arguments(what: str, arguments: list[str]) -> dict[str, Any]:
    """Parse --NAME=VALUE, each value a number, list or mapping as Python writes it, or text.

    Raises:
      UsageError: an argument has another form.
    """
    kwargs = {}
    for argument in arguments:
        key, equals, value = argument.removeprefix("--").partition("=")
        if not argument.startswith("--") or not equals:
            raise UsageError(f"unexpected argument {argument!r}: arguments of the {what} are --NAME=VALUE")
        kwargs[key] = _value(value)
    return kwargs


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
