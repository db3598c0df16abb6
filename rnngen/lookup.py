"""From a name in a config to the thing it names: a table's member or `package.module:attribute`."""

import difflib
import importlib
from collections.abc import Iterable, Mapping
from typing import Any


def nearest(name: str, names: Iterable[str]) -> str:
    """`; did you mean 'x'?` where a close name exists, else the list of valid ones."""
    names = sorted(str(n) for n in names)
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there is {', '.join(names)}" if names else ""


def find(table: Mapping[str, Any], name: str, what: str) -> Any:
    """`table[name]`, or the attribute that `"package.module:attribute"` names.

    Raises ValueError with the nearest valid name in it.
    """
    if not isinstance(name, str):
        raise ValueError(f"a {what} is named by a string, got {name!r}")
    if name in table:
        return table[name]
    if ":" in name:
        return _import(name, what)
    raise ValueError(f"unknown {what} {name!r}{nearest(name, table)}")


def _import(name: str, what: str) -> Any:
    module_name, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a user's module may fail in any way; say which, in one line
        raise ValueError(f"{what} {name!r}: cannot import {module_name!r}: {error}") from error
    if not hasattr(module, attribute):
        public = [n for n in vars(module) if not n.startswith("_")]
        raise ValueError(f"{what} {name!r}: {module_name} has no {attribute!r}{nearest(attribute, public)}")
    return getattr(module, attribute)
