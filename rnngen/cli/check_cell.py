"""`rnngen check-cell`: the laws of a cell that a name leads to, at a terminal."""

import ast
from typing import Any

from rnngen import runtime
from rnngen.config import base_config, build, build_cell, component, resolve, takes_hidden_dim
from rnngen.config.check import ConfigError, as_call, at_place
from rnngen.storage.jsonl import dumps, loads
from rnngen.testing import examine_cell

HIDDEN_DIM = 8  # unless one is given


def check_cell(arguments: list[str]) -> int:
    """`rnngen check-cell`; 1 where a law is broken."""
    name, kwargs = _parse(arguments)
    at_place("JAX", runtime.start)
    config = base_config()
    config.cell = component(name, **kwargs)
    resolved = resolve(config)
    cell = build_cell(resolved)
    print(as_call(resolved["cell"]), flush=True)
    report = examine_cell(cell, on_finding=lambda finding: print(finding, flush=True))
    print(*report.rest(), sep="\n")
    if report.broken:
        print(f"broken: {', '.join(report.broken)}")
        return 1
    build(resolved)
    again = resolve(loads(dumps(resolved)))
    if again != resolved:
        raise ConfigError(f"config.cell.kwargs: {again['cell']} came back from a file for {resolved['cell']}")
    print(f'all laws are kept; in a config: config.cell = component("{name}", ...)')
    return 0


def _parse(arguments: list[str]) -> tuple[str, dict[str, Any]]:
    """The cell's name and the arguments of its factory."""
    if not arguments or arguments[0].startswith("-"):
        raise ConfigError("check-cell takes a cell: rnngen check-cell package.module:factory [--ARGUMENT=VALUE ...]")
    name, kwargs = arguments[0], dict[str, Any]()
    for argument in arguments[1:]:
        key, equals, value = argument.removeprefix("--").partition("=")
        if not argument.startswith("--") or not equals:
            raise ConfigError(f"unexpected argument {argument!r}: arguments of the cell are --NAME=VALUE")
        kwargs[key] = _value(value)
    if "hidden_dim" not in kwargs and takes_hidden_dim(name):
        kwargs["hidden_dim"] = HIDDEN_DIM
    return name, kwargs


def _value(text: str) -> Any:
    """A number, list or mapping as Python writes it; any other text is itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
