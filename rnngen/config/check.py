"""Checks of a config's keys, types and arguments; each error is one line that names the place."""

import contextlib
import difflib
import functools
import importlib.util
import inspect
import math
import re
import sys
import traceback
import types
import typing
from collections.abc import Callable, Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rnngen.registry import nearest, one_line

DEEPEST = 50  # a value of a config within others
LARGEST, LARGEST_FLOAT = 2**31 - 1, 3.4e38  # as far as JAX counts, and computes


class ConfigError(ValueError):
    """An error in a config, or a folder that holds another config; the message is one line for a person."""

    def __init__(self, message: str):
        super().__init__(one_line(message))


def load_module(path: str) -> types.ModuleType:
    """Load a config file as a module, which can import modules beside it as a script can.

    Raises ConfigError that names the file, and the line where it fails.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise ConfigError(f"{path}: no such config file{_nearest_file(file)}")
    spec = importlib.util.spec_from_file_location(f"config_{file.stem}", file)
    loader = spec.loader if spec else None
    if spec is None or loader is None:
        raise ConfigError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickle look there for its classes
    folder = str(file.resolve().parent)
    sys.path.insert(0, folder)
    try:
        _calling(path, lambda: loader.exec_module(module))
    finally:
        # Moved to the end: workers still find it, but it shadows no other import.
        sys.path.remove(folder)
        sys.path += [] if folder in sys.path else [folder]
    if not callable(getattr(module, "get_config", None)):
        raise ConfigError(f"{path}: has no get_config(){nearest('get_config', _functions(module))}")
    return module


def call(path: str, module: types.ModuleType, function: str) -> Any:
    """Return `module.function()`; raise ConfigError naming the file, and the line where it fails."""
    if not callable(getattr(module, function, None)):
        raise ConfigError(f"{path}: has no {function}(){nearest(function, _functions(module))}")
    return _calling(path, getattr(module, function))


def set_override(config: dict, name: str, value: Any, base: Mapping | None = None) -> None:
    """Set a dotted name in a plain config; a mapping changes only the keys of a group, or of its kwargs, that it holds.

    A component of another name than in `base`, the config that is being changed, starts without the old one's kwargs.
    Raises ConfigError for a key that cannot be there.
    """
    check_name(config, name)
    *groups, last = check_key("overrides", name).split(".")
    before: Any = config if base is None else base
    for group in groups:
        config, before = config.setdefault(group, {}), before.get(group, {})
        if not isinstance(config, dict):
            raise ConfigError(f"config.{name}: {group} has no keys, it is {shown(config)}")
    known = config.get(last)
    if isinstance(value, Mapping) and isinstance(known, dict) and "kwargs" not in groups:
        if last == "kwargs":
            config[last] = (known if before.get("name") == config.get("name") else {}) | dict(value)
        else:
            config[last] = merge(known, _anew(known, value), f"config.{name}")
    else:
        config[last] = value


def _anew(group: Mapping, given: Mapping) -> dict:
    """Return a copy of `given` in which a component of another name than in `group` has its own kwargs, or none."""
    groups = [key for key in given if key != "kwargs" and all(isinstance(g.get(key), Mapping) for g in (group, given))]
    filled = dict(given) | {key: _anew(group[key], given[key]) for key in groups}
    another = "name" in given and given["name"] != group.get("name")
    return {"kwargs": {}} | filled if another else filled


def check_name(config: Mapping, name: str) -> None:
    """Raise ConfigError unless the dotted name exists, or is new within `kwargs`, whose keys a factory decides."""
    at: Any = config
    where = "config"
    parts = name.split(".")
    for number, part in enumerate(parts, start=1):
        may_be_new = where.endswith(".kwargs") and number == len(parts)
        if not isinstance(at, Mapping) or (part not in at and not may_be_new):
            known = at if isinstance(at, Mapping) else ()
            raise ConfigError(f"{where}.{part}: no such key{nearest(part, known)}")
        at, where = at.get(part), f"{where}.{part}"


def merge(base: dict, given: Mapping, where: str) -> dict:
    """Return `base` with the values of `given`: each of a known key, and of the type of the value in `base`."""
    if not isinstance(given, Mapping):
        raise ConfigError(f"{where}: must be a mapping with {', '.join(base)}, got {shown(given)}")
    merged = dict(base)
    for key, value in given.items():
        path = f"{where}.{key}"
        if key not in base:
            raise ConfigError(f"{path}: no such key{nearest(key, base)}")
        if key == "kwargs":
            if not isinstance(value, Mapping):
                raise ConfigError(f"{path}: must be a mapping, got {shown(value)}")
            # A default's kwargs belong to the default's name.
            same = "name" not in given or given["name"] == base.get("name")
            merged[key] = (base[key] if same else {}) | dict(value)
        elif isinstance(base[key], dict):
            merged[key] = merge(base[key], value, path)
        else:
            merged[key] = _typed(path, value, type(base[key]))
    return merged


def check_leaf(where: str, value: Any) -> Any:
    """Return a value that survives a round trip through JSON; raise ConfigError for any other."""
    if _not_finite(value) and re.search(r"\.kwargs\.[^.[]+$", where):
        return value  # a factory may have such a default: `check_kwargs` judges
    if isinstance(value, float | int):
        if not abs(value) <= (LARGEST_FLOAT if isinstance(value, float) else LARGEST):
            raise ConfigError(f"{where}: must be a number of float32, and if whole within 2^31, got {shown(value)}")
    elif value is not None and not (isinstance(value, str) and _is_text(value)):
        raise ConfigError(f"{where}: must be a number, text, a list, a mapping or None, got {shown(value)}")
    return value


def check_key(where: str, key: Any) -> str:
    """Return a key that a config can have; raise ConfigError for any other."""
    if not isinstance(key, str) or not _is_text(key):
        raise ConfigError(f"{where}: keys must be text, got {shown(key)}")
    return key


def _is_text(value: str) -> bool:
    """Return True where a file can hold the text: half of a surrogate pair has no UTF-8."""
    return not any("\ud800" <= sign <= "\udfff" for sign in value)


def shown(value: Any) -> str:
    """Return a value as it is written in Python, cut where it is long."""
    return one_line(repr(value), 200)


def as_call(part: Any) -> str:
    """Format a component as a call: `lstm(hidden_dim=8)`."""
    return f"{part.name}({', '.join(f'{name}={value!r}' for name, value in part.kwargs.items())})"


@functools.lru_cache(maxsize=256)
def _arguments(factory: Callable) -> tuple[dict[str, inspect.Parameter], dict[str, Any]]:
    """Return a factory's parameters and their types, by name."""
    try:
        hints = typing.get_type_hints(factory)
    except Exception:  # annotations of a user's factory may name modules that are missing at run time
        hints = {}
    return dict(inspect.signature(factory).parameters), hints


def check_kwargs(where: str, name: str, factory: Callable, kwargs: dict, supplied: tuple[str, ...]) -> dict:
    """Check `kwargs` against the factory's signature, and return them with its defaults filled in."""
    # Cached, since a sweep may check ten thousand configs; a factory that cannot be hashed is inspected each time.
    known, hints = (_arguments if isinstance(factory, Hashable) else _arguments.__wrapped__)(factory)
    parameters = {key: p for key, p in known.items() if key not in supplied}
    checked: dict[str, Any] = {
        key: p.default for key, p in parameters.items() if isinstance(p.default, int | float | str | None)
    }
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for key, value in kwargs.items():
        if key not in parameters and not takes_any:
            raise ConfigError(f"{where}.{key}: {name} has no such argument{nearest(key, parameters)}")
        checked[key] = _typed(f"{where}.{key}", value, hints.get(key, Any))
        if _not_finite(value) and ":" not in name and not _not_finite(getattr(parameters.get(key), "default", None)):
            raise ConfigError(f"{where}.{key}: must be a finite number, got {value}")
    missing = [
        k for k, p in parameters.items() if p.default is p.empty and k not in kwargs and p.kind is not p.VAR_KEYWORD
    ]
    if missing:
        raise ConfigError(f"{where}.{missing[0]}: {name} needs this argument")
    return checked


def _typed(path: str, value: Any, hint: Any) -> Any:
    """Return `value` as the type of `hint`: whole numbers pass for floats, lists for tuples."""
    allowed = (
        typing.get_args(hint)
        if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
        else (hint,)
    )
    kinds = tuple(
        kind for kind in (typing.get_origin(a) or a for a in allowed) if isinstance(kind, type) and kind is not Any
    )
    if len(kinds) < len(allowed) or not kinds:
        return value  # Any, a callable, a type variable: the factory judges
    if str in kinds and float not in kinds and _not_finite(value):
        return str(value)  # of a folder whose files did not tell the text from the number
    if isinstance(value, kinds) and (not isinstance(value, bool) or bool in kinds):
        return value
    if float in kinds and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if tuple in kinds and isinstance(value, list | str):
        return (value,) if isinstance(value, str) else tuple(value)
    wanted = " or ".join("None" if kind is types.NoneType else kind.__name__ for kind in kinds)
    raise ConfigError(f"{path}: must be {wanted}, got {shown(value)}")


def _not_finite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


@contextlib.contextmanager
def error_at(where: str) -> Iterator[None]:
    """Turn errors about values into ConfigErrors that begin with the place in the config."""
    try:
        yield
    except ConfigError:
        raise
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {error}") from error
    except ArithmeticError as error:
        raise ConfigError(f"{where}: a number is out of range: {error}") from error


def _calling(path: str, function: Callable[[], Any]) -> Any:
    try:
        return function()
    except ConfigError:
        raise
    except Exception as error:  # a config file is a program and may fail in any way
        file = Path(path).expanduser()
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == file]
        line = getattr(error, "lineno", None) or (lines[-1] if lines else None)
        raise ConfigError(f"{path}{f', line {line}' if line else ''}: {type(error).__name__}: {error}") from error


def _functions(module: types.ModuleType) -> list[str]:
    return [name for name, value in vars(module).items() if inspect.isfunction(value)]


def _nearest_file(file: Path) -> str:
    folder = file.parent
    names = [p.name for p in folder.glob("*.py")] if folder.is_dir() else []
    close = difflib.get_close_matches(file.name, names, n=1)
    return f"; did you mean {folder / close[0]}?" if close else ""
