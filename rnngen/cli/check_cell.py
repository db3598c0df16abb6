"""Run every check of the cell contract on a cell.

Prints each check that fails, and the speed and the memory horizon of a cell that passes all of them.
"""

import ast
from argparse import Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rnngen.cli.parser import Parser, UsageError

if TYPE_CHECKING:
    from rnngen.config import Component, RunConfig
    from rnngen.testing.report import Report

EXAMPLE = "rnngen check-cell lstm --hidden_dim=16"
HIDDEN_DIM = 8  # unless one is given


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    add_factory_arguments(parser, "cell", "--hidden_dim=16 --forget_bias=1.0")


def run(options: Namespace) -> int:
    """Print the finding of each check; 1 where one fails."""
    from rnngen.config import build, build_cell, takes_hidden_dim
    from rnngen.testing import examine_cell

    kwargs = factory_arguments("cell", options.rest)
    if "hidden_dim" not in kwargs and takes_hidden_dim(options.name):
        kwargs["hidden_dim"] = HIDDEN_DIM
    resolved = resolve_part("cell", options.name, kwargs)
    if not show_findings(examine_cell, build_cell(resolved.cell), resolved.cell):
        return 1
    build(resolved)
    check_file(resolved, "cell")
    return 0


def add_factory_arguments(parser: Parser, what: str, example: str) -> None:
    """Declare the name of a cell or task; every other option goes to its factory."""
    parser.usage = f"{parser.prog} NAME [--ARGUMENT=VALUE ...]"
    parser.passes_on = "--"
    parser.epilog = f"Every other option is an argument of the factory: {example}."
    parser.add_argument("name", metavar="NAME", help=f"a built-in {what}, or package.module:factory")


def resolve_part(part: str, name: str, kwargs: dict[str, Any]) -> "RunConfig":
    """Start JAX, and return the config of a run with this cell or task."""
    from rnngen import runtime
    from rnngen.config import base_config, component, resolve
    from rnngen.config.check import error_at

    with error_at("JAX"):
        runtime.start()
    config = base_config()
    config[part] = component(name, **kwargs)
    return resolve(config)


def show_findings(examine: Callable[..., "Report"], made: Any, component: "Component") -> bool:
    """Print the finding of each check of what a component made, and return True where all pass."""
    from rnngen.config.check import as_call

    print(as_call(component), flush=True)
    report = examine(made, on_finding=lambda finding: print(finding, flush=True))
    print(*report.rest(), sep="\n")
    if report.broken:
        print(f"broken: {', '.join(report.broken)}")
    return not report.broken


def check_file(resolved: "RunConfig", part: str) -> None:
    """Raise ConfigError unless a resolved config survives a round trip to a file; print how a config names the part."""
    from rnngen.config import resolve
    from rnngen.config.check import ConfigError
    from rnngen.storage.jsonl import dumps, loads

    again = resolve(loads(dumps(resolved.to_dict())))
    if again != resolved:
        raise ConfigError(
            f"config.{part}.kwargs: {getattr(again, part)} came back from a file for {getattr(resolved, part)}"
        )
    print(f'all checks pass; in a config: config.{part} = component("{getattr(resolved, part).name}", ...)')


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
