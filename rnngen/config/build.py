"""From a config to objects, strictly. Nothing below this file sees a ConfigDict.

A config is resolved to a plain nested dict, checked key by key against `base_config` and, for each
component `{"name": ..., "kwargs": {...}}`, against the signature of the factory that the name finds. What
is resolved is what `config.json` holds.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ml_collections import ConfigDict

from rnngen.cells import CELLS, INITIALIZERS, Cell
from rnngen.cells.cell import MOST_FEATURES
from rnngen.config.check import DEEPEST, ConfigError, at_place, check_key, check_kwargs, check_leaf, merge, shown
from rnngen.config.defaults import base_config, component
from rnngen.config.fingerprint import program
from rnngen.datasets import TASKS
from rnngen.diagnostics.diagnoses import DIAGNOSES, Diagnosis
from rnngen.engines import ENGINES
from rnngen.heads import Head
from rnngen.models.stack import Model, build_model, count_params, widest
from rnngen.models.vrnn import LATENTS
from rnngen.registry import find
from rnngen.storage.jsonl import dumps, loads
from rnngen.tasks import Task
from rnngen.training import (
    OPTIMIZERS,
    REGULARIZERS,
    SCHEDULES,
    DiagnosticsConfig,
    Experiment,
    Regularizer,
    TrainConfig,
    build_optimizer,
)
from rnngen.types import InputSpec

__all__ = ["base_config", "build", "build_cell", "complete", "component", "model_for", "plain", "resolve"]

DTYPES = ("float32", "bfloat16")
SELDOM, EVALUATIONS = 500, 10  # steps between evaluations, and how many at least, unless a config says otherwise
MOST_LAYERS = 100  # each is traced on its own
# Where each component stands in a config, what it is called, its built-ins, and the arguments of its
# factory that do not come from the config.
COMPONENTS: dict[str, tuple[str, Mapping[str, Any], tuple[str, ...]]] = {
    "cell": ("cell", CELLS, ()),
    "task": ("task", TASKS, ()),
    "model.head_init": ("initialiser", INITIALIZERS, ()),
    "model.engine": ("engine", ENGINES, ()),
    "model.latent": ("latent model", LATENTS, ()),
    "optim": ("optimiser", OPTIMIZERS, ("learning_rate",)),
    "optim.schedule": ("schedule", SCHEDULES, ("learning_rate", "steps")),
    "optim.regularizer": ("regulariser", REGULARIZERS, ()),
}


def complete(config: ConfigDict | Mapping) -> dict:
    """The config as plain values with every key of `base_config` in it; keys and types checked, `kwargs` as given.

    Raises ConfigError naming the key and the nearest right one.
    """
    return loads(dumps(merge(_defaults(), plain(config), "config")))


@functools.cache
def _defaults() -> dict:
    """`base_config` as a dict; made once, since a sweep may resolve ten thousand configs. Not to be changed."""
    return base_config().to_dict()


def plain(value: Any, where: str = "config", depth: int = DEEPEST) -> Any:
    """A value of a config as JSON has it: ConfigDicts as dicts, also within lists, and NumPy's numbers as Python's.

    Raises ConfigError naming the place of what JSON does not have, or of what is nested more than `depth` deep.
    """
    if not depth:
        raise ConfigError(f"{where[:60]}...: is nested more than {DEEPEST} deep")
    if isinstance(value, ConfigDict):
        value = value.to_dict()
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, Mapping):
        return {check_key(where, key): plain(v, f"{where}.{key}", depth - 1) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v, f"{where}[{number}]", depth - 1) for number, v in enumerate(value)]
    return check_leaf(where, value)


def resolve(config: ConfigDict | Mapping) -> dict:
    """`complete`, and every component's name and arguments checked and its defaults filled in.

    An `eval_every` of -1 is every 500 steps, and in a shorter run a tenth of it.
    Raises ConfigError naming the key and the nearest right one.
    """
    resolved = complete(config)
    _leave_width_to_budget(resolved)
    _check_components(resolved, tuple(COMPONENTS))
    if resolved["train"]["eval_every"] == -1:
        resolved["train"]["eval_every"] = min(SELDOM, max(1, resolved["train"]["steps"] // EVALUATIONS))
    asked = [{"name": w, "kwargs": {}} if isinstance(w, str) else w for w in resolved["diagnose"]["what"]]
    resolved["diagnose"]["what"] = asked
    for number, part in enumerate(asked):
        if not isinstance(part, dict) or "name" not in part or set(part) - {"name", "kwargs"}:
            raise ConfigError(f"config.diagnose.what[{number}]: needs a name, or name and kwargs, got {shown(part)}")
        if part["name"] in [earlier["name"] for earlier in asked[:number]]:
            raise ConfigError(f"config.diagnose.what[{number}]: {part['name']} is asked for twice")
        _check_component(f"config.diagnose.what[{number}]", part, "diagnosis", DIAGNOSES)
    _fit_width(resolved)
    if resolved["seed"] < 0:
        raise ConfigError(f"config.seed: must not be negative, got {resolved['seed']}")
    return loads(dumps(resolved))


def build(resolved: dict) -> Experiment:
    """The objects that a resolved config describes. Raises ConfigError where a factory refuses its arguments."""
    task, model = _made("task", dumps(resolved["task"])), _model(resolved)
    optim = dict(resolved["optim"])
    schedule_of_rate, regularization = optim.pop("schedule"), optim.pop("regularizer")
    optimizer = at_place(
        "config.optim",
        lambda: build_optimizer(
            steps=resolved["train"]["steps"],
            schedule=schedule_of_rate["name"],
            schedule_kwargs=schedule_of_rate["kwargs"],
            **optim,
        ),
    )
    schedule = TrainConfig(**resolved["train"]).fitted(resolved["diagnose"]["every"])
    regularizer = _of_kind(Regularizer, "config.optim.regularizer", REGULARIZERS, regularization, "regulariser")
    what = {part["name"]: _diagnosis(number, part) for number, part in enumerate(resolved["diagnose"]["what"])}
    diagnose = DiagnosticsConfig(**resolved["diagnose"] | {"what": what})
    _once(resolved, "config.optim.regularizer", lambda: regularizer.check(model, task))
    at_place("config.train", lambda: schedule.check(task, diagnose.every))
    _once(resolved, "config.diagnose", lambda: diagnose.check(model, task))
    return Experiment(model, task, optimizer, schedule, diagnose, resolved["seed"], regularizer, program(resolved))


def build_cell(resolved: dict) -> Cell:
    """The cell that a resolved config describes. Raises ConfigError where its factory refuses its arguments."""
    return _made("cell", dumps(resolved["cell"]))


def _model(resolved: dict) -> Model:
    task = _made("task", dumps(resolved["task"]))
    return _model_for(resolved, task.input_spec, task.head, task.loss)


def model_for(config: dict, spec: InputSpec, head: Head, loss: Callable) -> Model:
    """The model of a run's config as its folder has it, for a task of this input, head and loss.

    Its task is not looked for, since this needs no data. Raises ConfigError where the rest is no resolved config.
    """
    resolved = complete(config)
    _check_components(resolved, ("cell", "model.head_init", "model.engine", "model.latent"))
    return _model_for(resolved, spec, head, loss)


def _model_for(resolved: dict, spec: InputSpec, head: Head, loss: Callable) -> Model:
    cell, options = build_cell(resolved), dict(resolved["model"])
    if cell.output_dim > MOST_FEATURES:
        raise ConfigError(f"config.cell: has {cell.output_dim} features, and {MOST_FEATURES} are the most")
    layers, _ = options.pop("num_layers"), options.pop("param_budget")
    if layers > MOST_LAYERS:
        raise ConfigError(f"config.model.num_layers: must be at most {MOST_LAYERS}, got {layers}")
    options["dtype"] = resolved["dtype"]
    latent = options.pop("latent")
    build = at_place("config.model.latent", lambda: _call(LATENTS, latent, "latent model"))
    if build is not None:
        _check_no_other(latent["name"], options)
        used = {name: options[name] for name in ("dtype", "engine")}
        return at_place("config.model", lambda: build([cell] * layers, spec, head, **used))
    return at_place("config.model", lambda: build_model([cell] * layers, spec, head, loss, **options))


def _check_no_other(latent: str, options: dict) -> None:
    """Raise ConfigError where an option that a latent model does not have is set."""
    usual = resolve_defaults()["model"]
    for name, value in options.items():
        if name not in ("dtype", "engine") and value != usual[name]:
            raise ConfigError(f"config.model.{name}: {latent} has no such thing; leave it at {usual[name]!r}")


@functools.cache
def resolve_defaults() -> dict:
    """`base_config`, resolved."""
    return resolve(base_config())


def _leave_width_to_budget(resolved: dict) -> None:
    """Have a cell whose `hidden_dim` a budget decides need no other."""
    cell = resolved["cell"]
    if resolved["model"]["param_budget"] > 0 and takes_hidden_dim(cell["name"]) and isinstance(cell["kwargs"], dict):
        cell["kwargs"] = {"hidden_dim": 1} | cell["kwargs"]


def takes_hidden_dim(cell: str) -> bool:
    """Whether the factory of a cell of this name, if there is one, takes a `hidden_dim`."""
    try:
        return "hidden_dim" in inspect.signature(find(CELLS, cell, "cell")).parameters
    except ValueError:  # what is wrong with the name, `resolve` says
        return False


def _fit_width(resolved: dict) -> None:
    """Give the cell the `hidden_dim` that `model.param_budget` allows, if there is a budget."""
    budget, kwargs = resolved["model"]["param_budget"], resolved["cell"]["kwargs"]
    if budget < 0 or (budget and "hidden_dim" not in kwargs):
        what = f"must not be negative, got {budget}" if budget < 0 else f"{resolved['cell']['name']} has no hidden_dim"
        raise ConfigError(f"config.model.param_budget: {what}")
    parts = {part: resolved[part] for part in ("cell", "task", "model", "dtype")}
    if budget:
        kwargs["hidden_dim"] = at_place("config.model.param_budget", lambda: _width(dumps(parts)))


@functools.lru_cache(maxsize=1024)
def _width(resolved_json: str) -> int:
    resolved = loads(resolved_json)

    def parameters(hidden_dim: int) -> int:
        cell = resolved["cell"] | {"kwargs": resolved["cell"]["kwargs"] | {"hidden_dim": hidden_dim}}
        return count_params(_model(resolved | {"cell": cell}))

    return widest(parameters, resolved["model"]["param_budget"])


def _check_components(resolved: dict, paths: tuple[str, ...]) -> None:
    """Check the parts at these places, and what they compute in."""
    for path in paths:
        part = functools.reduce(lambda tree, key: tree[key], path.split("."), resolved)
        _check_component(f"config.{path}", part, *COMPONENTS[path])
    if resolved["dtype"] not in DTYPES:
        raise ConfigError(f"config.dtype: {resolved['dtype']!r} is not one of {', '.join(DTYPES)}")


def _check_component(where: str, part: Any, what: str, table: Mapping, supplied: tuple[str, ...] = ()) -> None:
    """Check the name and the arguments of a component, and fill in the defaults."""
    factory = at_place(f"{where}.name", functools.partial(find, table, part["name"], what))
    if not isinstance(part.get("kwargs", {}), dict):
        raise ConfigError(f"{where}.kwargs: must be a mapping, got {shown(part['kwargs'])}")
    part["kwargs"] = check_kwargs(f"{where}.kwargs", part["name"], factory, part.get("kwargs", {}), supplied)


def _call(table: Mapping, part: dict, what: str) -> Any:
    factory = find(table, part["name"], what)
    if part["name"] in table:
        return factory(**part["kwargs"])
    try:
        return factory(**part["kwargs"])
    except Exception as error:  # a user's factory may fail in any way; say which, in one line
        raise ValueError(f"{part['name']}() failed to make a {what}: {type(error).__name__}: {error}") from error


def _diagnosis(number: int, part: dict) -> Diagnosis:
    return _of_kind(Diagnosis, f"config.diagnose.what[{number}]", DIAGNOSES, part, "diagnosis")


def _of_kind(kind: type, where: str, table: Mapping, part: dict, what: str) -> Any:
    """What a part's factory makes. Raises ConfigError where that is of another kind."""
    made = at_place(f"{where}.kwargs", lambda: _call(table, part, what))
    if not isinstance(made, kind):
        raise ConfigError(f"{where}.name: {part['name']} makes a {type(made).__name__}, not a {kind.__name__}")
    return made


def _once(resolved: dict, where: str, check: Callable[[], Any]) -> None:
    """Have a part refuse what it does not fit; once for trials that differ in other things."""
    parts = {part: resolved[part] for part in ("cell", "task", "model", "dtype", "diagnose")}
    known = dumps(parts | {"where": where, "regularizer": resolved["optim"]["regularizer"]})
    if known not in _FITTING:
        at_place(where, check)
        _FITTING.add(known)


_FITTING: set[str] = set()


@functools.lru_cache(maxsize=64)
def _made(where: str, part_json: str):
    """The cell or task of a resolved part. Cached: the trials of a sweep share most of theirs."""
    what, table, _ = COMPONENTS[where]
    return _of_kind({"cell": Cell, "task": Task}[where], f"config.{where}", table, loads(part_json), what)
