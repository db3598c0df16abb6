"""From a config to objects, strictly. Nothing below this file sees a ConfigDict.

A config is resolved to a plain nested dict, checked key by key against `base_config` and, for each
component `{"name": ..., "kwargs": {...}}`, against the signature of the factory that the name finds. What
is resolved is what `config.json` holds.
"""

import difflib
import functools
import hashlib
import importlib.util
import inspect
import json
import traceback
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from rnngen.cells import CELLS, INITIALIZERS, Cell
from rnngen.lookup import find, nearest
from rnngen.models import build_model
from rnngen.records import dumps, flatten
from rnngen.tasks import TASKS, Task
from rnngen.train import OPTIMIZERS, SCHEDULES, Diagnose, Experiment, Schedule, build_optimizer

DTYPES = ("float32", "bfloat16")
# Where each component stands in a config, what it is called, its built-ins, and the arguments of its
# factory that do not come from the config.
COMPONENTS: dict[str, tuple[str, Mapping[str, Any], tuple[str, ...]]] = {
    "cell": ("cell", CELLS, ()),
    "task": ("task", TASKS, ()),
    "model.head_init": ("initialiser", INITIALIZERS, ()),
    "optim": ("optimiser", OPTIMIZERS, ("learning_rate",)),
    "optim.schedule": ("schedule", SCHEDULES, ("learning_rate", "steps")),
}


class ConfigError(ValueError):
    """A config, or a folder that was made for another one, is wrong; the message is one line for a person."""


def component(name: str, **kwargs: Any) -> ConfigDict:
    """`{"name": name, "kwargs": kwargs}`: how a config names a cell, a task, an initialiser."""
    return ConfigDict({"name": name, "kwargs": kwargs})


def base_config() -> ConfigDict:
    """Every key that a config may have, with its default. `kwargs` are those of the named factory."""
    return ConfigDict(
        {
            "seed": 0,
            "dtype": "float32",  # of the computation; parameters and optimiser stay float32
            "cell": component("lstm", hidden_dim=128),
            "task": component("adding"),
            "model": {
                "num_layers": 1,
                "embed_dim": 0,  # 0: tokens enter one-hot
                "dropout": 0.0,
                "head_init": component("lecun"),
                "engine": "auto",
            },
            "optim": {
                "name": "adam",
                "kwargs": {},
                "learning_rate": 1e-3,
                "clip_norm": 1.0,  # 0: no clipping
                "clip_value": 0.0,
                "schedule": component("constant"),
            },
            "train": Schedule(steps=2000)._asdict(),
            "diagnose": Diagnose()._asdict(),
        }
    )


def load_module(path: str) -> types.ModuleType:
    """The config file as a module. Raises ConfigError naming the file, and the line where it fails."""
    file = Path(path)
    if not file.is_file():
        raise ConfigError(f"{path}: no such config file{_nearest_file(file)}")
    spec = importlib.util.spec_from_file_location(f"config_{file.stem}", file)
    loader = spec.loader if spec else None
    if spec is None or loader is None:
        raise ConfigError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    _calling(path, lambda: loader.exec_module(module))
    if not callable(getattr(module, "get_config", None)):
        raise ConfigError(f"{path}: has no get_config(){nearest('get_config', _functions(module))}")
    return module


def call(path: str, module: types.ModuleType, function: str) -> Any:
    """`module.function()`; raises ConfigError naming the file, and the line where it fails."""
    if not callable(getattr(module, function, None)):
        raise ConfigError(f"{path}: has no {function}(){nearest(function, _functions(module))}")
    return _calling(path, getattr(module, function))


def set_override(config: dict, name: str, value: Any) -> None:
    """Set a dotted name in a plain config. Raises ConfigError where no such key can be."""
    check_name(config, name)
    *groups, last = name.split(".")
    for group in groups:
        config = config.setdefault(group, {})
    config[last] = value


def check_name(config: Mapping, name: str) -> None:
    """Raise ConfigError unless the dotted name exists, or lies in some `kwargs`, whose keys a factory decides."""
    at, where = config, "config"
    for part in name.split("."):
        if where.endswith(".kwargs") or ".kwargs." in where:
            return
        if not isinstance(at, Mapping) or part not in at:
            known = at if isinstance(at, Mapping) else ()
            raise ConfigError(f"{where}.{part}: no such key{nearest(part, known)}")
        at, where = at[part], f"{where}.{part}"


def complete(config: ConfigDict | Mapping) -> dict:
    """The config as plain values with every key of `base_config` in it; keys and types checked, `kwargs` as given.

    Raises ConfigError naming the key and the nearest right one.
    """
    given = config.to_dict() if isinstance(config, ConfigDict) else dict(config)
    return json.loads(dumps(_merge(base_config().to_dict(), given, "config")))


def resolve(config: ConfigDict | Mapping) -> dict:
    """`complete`, and every component's name and arguments checked and its defaults filled in.

    Raises ConfigError naming the key and the nearest right one.
    """
    resolved = complete(config)
    for path, (what, table, supplied) in COMPONENTS.items():
        part = functools.reduce(lambda tree, key: tree[key], path.split("."), resolved)
        where = f"config.{path}"
        factory = _at(f"{where}.name", functools.partial(find, table, part["name"], what))
        part["kwargs"] = _check_kwargs(f"{where}.kwargs", part["name"], factory, part["kwargs"], supplied)
    if resolved["dtype"] not in DTYPES:
        raise ConfigError(f"config.dtype: {resolved['dtype']!r} is not one of {', '.join(DTYPES)}")
    if resolved["seed"] < 0:
        raise ConfigError(f"config.seed: must not be negative, got {resolved['seed']}")
    return json.loads(dumps(resolved))


def build(resolved: dict) -> Experiment:
    """The objects that a resolved config describes. Raises ConfigError where a factory refuses its arguments."""
    cell = _made("cell", dumps(resolved["cell"]))
    task = _made("task", dumps(resolved["task"]))
    options = dict(resolved["model"])
    layers = options.pop("num_layers")
    model = _at(
        "config.model",
        lambda: build_model([cell] * layers, task.input_spec, task.head, task.loss, dtype=resolved["dtype"], **options),
    )
    optim = dict(resolved["optim"])
    schedule_of_rate = optim.pop("schedule")
    optimizer = _at(
        "config.optim",
        lambda: build_optimizer(
            steps=resolved["train"]["steps"],
            schedule=schedule_of_rate["name"],
            schedule_kwargs=schedule_of_rate["kwargs"],
            **optim,
        ),
    )
    schedule = Schedule(**resolved["train"])
    diagnose = Diagnose(**resolved["diagnose"] | {"what": tuple(resolved["diagnose"]["what"])})
    _at("config.diagnose", diagnose.check)
    _at("config.train", lambda: schedule.check(task, diagnose.every))
    return Experiment(model, task, optimizer, schedule, diagnose, resolved["seed"])


def config_id(resolved: dict) -> str:
    """A stable short name for a resolved config: the same config, the same name, on any machine."""
    canonical = json.dumps(resolved, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def difference(there: dict, here: dict) -> str:
    """What differs between two resolved configs, in one line."""
    old, new = flatten(there), flatten(here)
    keys = [k for k in sorted(old | new) if old.get(k) != new.get(k)]
    shown = [f"{k} is {old.get(k)!r} there, {new.get(k)!r} here" for k in keys[:3]]
    return "; ".join(shown) + (f"; and {len(keys) - 3} more" if len(keys) > 3 else "")


@functools.lru_cache(maxsize=64)
def _made(where: str, part_json: str):
    """The cell or task of a resolved part. Cached: the trials of a sweep share most of theirs."""
    kind, part = {"cell": Cell, "task": Task}[where], json.loads(part_json)
    what, table, _ = COMPONENTS[where]
    made = _at(f"config.{where}.kwargs", lambda: find(table, part["name"], what)(**part["kwargs"]))
    if not isinstance(made, kind):
        raise ConfigError(f"config.{where}.name: {part['name']} makes a {type(made).__name__}, not a {kind.__name__}")
    return made


def _merge(base: dict, given: Mapping, where: str) -> dict:
    """`base` with the values of `given`, each of a known key and of the type that `base` has there."""
    merged = dict(base)
    for key, value in given.items():
        path = f"{where}.{key}"
        if key not in base:
            raise ConfigError(f"{path}: no such key{nearest(key, base)}")
        if key == "kwargs":
            if not isinstance(value, Mapping):
                raise ConfigError(f"{path}: must be a mapping, got {value!r}")
            # A default's kwargs belong to the default's name.
            same = "name" not in given or given["name"] == base.get("name")
            merged[key] = (base[key] if same else {}) | dict(value)
        elif isinstance(base[key], dict):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{path}: must be a mapping with {', '.join(base[key])}, got {value!r}")
            merged[key] = _merge(base[key], value, path)
        else:
            merged[key] = _typed(path, value, type(base[key]))
    return merged


def _check_kwargs(where: str, name: str, factory: Callable, kwargs: dict, supplied: tuple[str, ...]) -> dict:
    """`kwargs` checked against the factory's signature, with its defaults filled in."""
    signature = inspect.signature(factory)
    parameters = {key: p for key, p in signature.parameters.items() if key not in supplied}
    try:
        hints = typing.get_type_hints(factory)
    except Exception:  # annotations of a user's factory may name what is not there at run time
        hints = {}
    checked: dict[str, Any] = {
        key: p.default for key, p in parameters.items() if isinstance(p.default, int | float | str | None)
    }
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for key, value in kwargs.items():
        if key not in parameters and not takes_any:
            raise ConfigError(f"{where}.{key}: {name} has no such argument{nearest(key, parameters)}")
        checked[key] = _typed(f"{where}.{key}", value, hints.get(key, Any))
    missing = [
        k for k, p in parameters.items() if p.default is p.empty and k not in kwargs and p.kind is not p.VAR_KEYWORD
    ]
    if missing:
        raise ConfigError(f"{where}.{missing[0]}: {name} needs this argument")
    return checked


def _typed(path: str, value: Any, hint: Any) -> Any:
    """`value` as the type that `hint` asks for: whole numbers pass for floats, lists for tuples."""
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
    if isinstance(value, kinds) and (not isinstance(value, bool) or bool in kinds):
        return value
    if float in kinds and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if tuple in kinds and isinstance(value, list | str):
        return (value,) if isinstance(value, str) else tuple(value)
    wanted = " or ".join("None" if kind is types.NoneType else kind.__name__ for kind in kinds)
    raise ConfigError(f"{path}: must be {wanted}, got {value!r}")


def _at(where: str, make: Callable[[], Any]) -> Any:
    """`make()`, its complaints about values headed by the place in the config."""
    try:
        return make()
    except ConfigError:
        raise
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {error}") from error


def _calling(path: str, function: Callable[[], Any]) -> Any:
    try:
        return function()
    except ConfigError:
        raise
    except Exception as error:  # a config file is a program and may fail in any way
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == Path(path)]
        line = getattr(error, "lineno", None) or (lines[-1] if lines else None)
        raise ConfigError(f"{path}{f', line {line}' if line else ''}: {type(error).__name__}: {error}") from error


def _functions(module: types.ModuleType) -> list[str]:
    return [name for name, value in vars(module).items() if inspect.isfunction(value)]


def _nearest_file(file: Path) -> str:
    folder = file.parent
    names = [p.name for p in folder.glob("*.py")] if folder.is_dir() else []
    close = difflib.get_close_matches(file.name, names, n=1)
    return f"; did you mean {folder / close[0]}?" if close else ""
