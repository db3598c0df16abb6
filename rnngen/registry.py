"""Look-up by name, in a table, by import or in a cache, and the errors of a look-up that fails."""

import difflib
import importlib
import inspect
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any


class LRUCache:
    """A cache of the `most` values that were used last, each made when first needed."""

    def __init__(self, most: int):
        self.most, self.made = most, OrderedDict[Hashable, Any]()

    def get(self, name: Hashable, make: Callable[[], Any]) -> Any:
        """Return the cached value of this name, or make it."""
        if name not in self.made:
            self.made[name] = make()
            while len(self.made) > self.most:
                self.made.popitem(last=False)
        self.made.move_to_end(name)
        return self.made[name]


def nearest(name: str, names: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` if there is a close name, else a list of the valid ones."""
    names = sorted(str(n) for n in names)
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there is {', '.join(names)}" if names else ""


def one_line(message: str, most: int = 1000) -> str:
    """Return a message in one line of at most `most` characters: what it quotes may have several, or no end."""
    line = " ".join(message.splitlines())
    return line if len(line) <= most else f"{line[:most]}..."


def find(table: Mapping[str, Any], name: str, what: str) -> Any:
    """Return `table[name]`, or import the attribute that `"package.module:attribute"` names.

    Raises ValueError with the nearest valid name in it.
    """
    if not isinstance(name, str):
        raise ValueError(f"the name of the {what} must be a string, got {name!r:.200}")
    if name in table:
        return table[name]
    if ":" in name:
        return _import(name, what)
    raise ValueError(f"unknown {what} {name!r}{nearest(name, table)}")


def check_arguments(called: str, factory: Callable, kwargs: Iterable[str]) -> None:
    """Raise ValueError with the nearest valid name for the first argument that the factory does not have."""
    known = inspect.signature(factory).parameters
    for name in kwargs:
        if name not in known:
            raise ValueError(f"{called} has no argument {name!r}{nearest(name, known)}")


def _import(name: str, what: str) -> Any:
    module_name, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a user's module may fail in any way; name it in one line
        raise ValueError(f"{what} {name!r}: cannot import {module_name!r}: {error}") from error
    if not hasattr(module, attribute):
        public = [n for n in vars(module) if not n.startswith("_")]
        raise ValueError(f"{what} {name!r}: {module_name} has no {attribute!r}{nearest(attribute, public)}")
    found = getattr(module, attribute)
    if not callable(found):
        raise ValueError(f"{what} {name!r}: {attribute!r} of {module_name} is not callable")
    return found
