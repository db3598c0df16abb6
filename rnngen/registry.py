"""From a name to a thing: a table's member, `package.module:attribute`, or what was made under it before."""

import difflib
import importlib
import inspect
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any


class LRUCache:
    """What is costly to make, by a name: made when first asked for, and kept for as long as it is among the `most` that
    were asked for last."""

    def __init__(self, most: int):
        self.most, self.made = most, OrderedDict[Hashable, Any]()

    def get(self, name: Hashable, make: Callable[[], Any]) -> Any:
        """What was made under this name before, or is now."""
        if name not in self.made:
            self.made[name] = make()
            while len(self.made) > self.most:
                self.made.popitem(last=False)
        self.made.move_to_end(name)
        return self.made[name]


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
        raise ValueError(f"the name of the {what} must be a string, got {name!r:.200}")
    if name in table:
        return table[name]
    if ":" in name:
        return _import(name, what)
    raise ValueError(f"unknown {what} {name!r}{nearest(name, table)}")


def check_arguments(called: str, factory: Callable, kwargs: Iterable[str]) -> None:
    """Raise ValueError, with the nearest name in it, for the first argument that the factory does not have."""
    known = inspect.signature(factory).parameters
    for name in kwargs:
        if name not in known:
            raise ValueError(f"{called} has no argument {name!r}{nearest(name, known)}")


def _import(name: str, what: str) -> Any:
    module_name, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a user's module may fail in any way; say which, in one line
        raise ValueError(f"{what} {name!r}: cannot import {module_name!r}: {error}") from error
    if not hasattr(module, attribute):
        public = [n for n in vars(module) if not n.startswith("_")]
        raise ValueError(f"{what} {name!r}: {module_name} has no {attribute!r}{nearest(attribute, public)}")
    found = getattr(module, attribute)
    if not callable(found):
        raise ValueError(f"{what} {name!r}: what {module_name} has there is none")
    return found
