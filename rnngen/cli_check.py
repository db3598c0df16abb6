"""`rnngen check-cell`: the laws of a cell that a name leads to, at a terminal."""

import ast
import inspect
import json
from typing import Any

from rnngen import process
from rnngen.cells import CELLS
from rnngen.config import base_config, build, build_cell, component, resolve
from rnngen.configcheck import ConfigError, as_call
from rnngen.jsonfiles import dumps
from rnngen.lookup import find
from rnngen.testing import examine_cell

HIDDEN_DIM = 8  # unless one is given


def check_cell(arguments: list[str]) -> int:
    """`rnngen check-cell`; 1 where a law is broken."""
    name, kwargs = _parse(arguments)
    process.prepare()
    config = base_config()
    config.cell = component(name, **kwargs)
    resolved = resolve(config)
    cell = build_cell(resolved)
    report = examine_cell(cell)
    print(as_call(resolved["cell"]))
    print(report)
    if report.broken:
        print(f"broken: {', '.join(report.broken)}")
        return 1
    build(resolved)
    again = resolve(json.loads(dumps(resolved)))
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
    if "hidden_dim" not in kwargs and _takes_hidden_dim(name):
        kwargs["hidden_dim"] = HIDDEN_DIM
    return name, kwargs


def _value(text: str) -> Any:
    """A number, list or mapping as Python writes it; any other text is itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _takes_hidden_dim(name: str) -> bool:
    try:
        return "hidden_dim" in inspect.signature(find(CELLS, name, "cell")).parameters
    except ValueError:  # what is wrong with the name, resolve says
        return False
