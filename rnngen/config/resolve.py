"""From a config as written to a `RunConfig`, strictly: every key, name and argument is checked, defaults filled in."""

import functools
import inspect
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from rnngen.cells import CELLS, INITIALIZERS
from rnngen.cells.credit import CREDITS
from rnngen.config.budget import budgeted_steps, budgeted_width
from rnngen.config.check import DEEPEST, ConfigError, check_key, check_kwargs, check_leaf, error_at, merge, shown
from rnngen.config.defaults import base_config
from rnngen.config.run_config import RunConfig
from rnngen.datasets import TASKS
from rnngen.diagnostics import DIAGNOSES
from rnngen.engines import ENGINES
from rnngen.models.block import BLOCKS
from rnngen.models.controls import CONTROLS
from rnngen.models.vrnn import LATENTS
from rnngen.registry import find
from rnngen.rules import RULES
from rnngen.storage.dotted import flatten
from rnngen.storage.jsonl import dumps, loads
from rnngen.training import OPTIMIZERS, REGULARIZERS, SCHEDULES
from rnngen.training.experiment import POLICIES, SELECTIONS

DTYPES = ("float32", "bfloat16")
SELDOM, EVALUATIONS = 500, 10  # steps between evaluations, and how many at least, unless a config says otherwise
# Each component's place in a config, its name in messages, its built-ins, and the arguments of its
# factory that do not come from the config.
COMPONENTS: dict[str, tuple[str, Mapping[str, Any], tuple[str, ...]]] = {
    "cell": ("cell", CELLS | CONTROLS, ()),
    "task": ("task", TASKS, ()),
    "model.head_init": ("initialiser", INITIALIZERS, ()),
    "model.engine": ("engine", ENGINES, ()),
    "model.latent": ("latent model", LATENTS, ()),
    "model.block": ("block", BLOCKS, ()),
    "optim": ("optimiser", OPTIMIZERS, ("learning_rate",)),
    "optim.schedule": ("schedule", SCHEDULES, ("learning_rate", "steps")),
    "optim.regularizer": ("regulariser", REGULARIZERS, ()),
    "train.credit": ("credit", CREDITS, ()),
    "train.rule": ("rule", RULES, ()),
}


def resolve(config: ConfigDict | Mapping | RunConfig) -> RunConfig:
    """Check a config against `base_config` and the factories that it names, and fill in all defaults.

    An `eval_every` of -1 is every 500 steps, and in a shorter run a tenth of it. What a `flop_budget` allows becomes
    `steps`, and is not in the frozen config.

    Args:
      config: a `base_config` with what was changed in it, or the same as a dict.

    Returns:
      The frozen config.

    Raises:
      ConfigError: naming the key and the nearest right one.
    """
    if isinstance(config, RunConfig):
        return config
    resolved = complete(config)
    _leave_width_to_budget(resolved)
    check_components(resolved, tuple(COMPONENTS))
    resolved["diagnose"]["what"] = _diagnoses(resolved["diagnose"]["what"])
    if resolved["seed"] < 0:
        raise ConfigError(f"config.seed: must not be negative, got {resolved['seed']}")
    frozen = _frozen(resolved)
    width, operations = budgeted_width(frozen), resolved["train"]["flop_budget"]
    if width is not None:
        resolved["cell"]["kwargs"]["hidden_dim"] = width
        frozen = _frozen(resolved)
    if operations:
        resolved["train"]["steps"] = budgeted_steps(frozen, operations)
        frozen = _frozen(resolved)
    return frozen


def _frozen(resolved: dict) -> RunConfig:
    train = resolved["train"]
    every = usual_eval_every(train["steps"]) if train["eval_every"] == -1 else train["eval_every"]
    return RunConfig.from_dict(resolved | {"train": train | {"eval_every": every}})


def key_choices() -> dict[str, list[str]]:
    """List the values of the keys that take one of several.

    Returns:
      The built-in names, or values, by the key's dotted name; a component may also be package.module:factory.
    """
    names = {f"{path}.name": sorted(table) for path, (_, table, _) in COMPONENTS.items()}
    words = {
        "dtype": [*DTYPES],
        "diagnose.what": [*DIAGNOSES],
        "train.select": [*SELECTIONS],
        "train.on_divergence": [*POLICIES],
    }
    switches = {key: ["True", "False"] for key, value in flatten(_defaults()).items() if isinstance(value, bool)}
    return names | words | switches


def usual_eval_every(steps: int) -> int:
    """Choose the steps between evaluations of a run whose config leaves that at -1.

    Args:
      steps: updates of the run.

    Returns:
      500, or a tenth of the steps if that is less.
    """
    return min(SELDOM, max(1, steps // EVALUATIONS))


def complete(config: ConfigDict | Mapping) -> dict:
    """Fill in every key of `base_config`, and check keys and types.

    Args:
      config: a `base_config` with what was changed in it, or the same as a dict.

    Returns:
      Plain nested values; `kwargs` are as they were given.

    Raises:
      ConfigError: naming the key and the nearest right one.
    """
    return loads(dumps(merge(_defaults(), plain(config), "config")))


@functools.cache
def _defaults() -> dict:
    """Return `base_config` as a dict; made once, since a sweep may resolve ten thousand configs. Not to be changed."""
    return base_config().to_dict()


def plain(value: Any, where: str = "config", depth: int = DEEPEST) -> Any:
    """Convert a config, or a part of one, to plain values: ConfigDicts to dicts, NumPy's numbers to Python's.

    Args:
      value: a config, or a part of one.
      where: its place, for errors.
      depth: how deep it may be nested.

    Returns:
      The value as JSON has it.

    Raises:
      ConfigError: naming the place of a value that JSON does not have, or that is nested more than `depth` deep.
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


def check_components(resolved: dict, paths: tuple[str, ...]) -> None:
    """Check the components at these places and fill in their defaults; and the dtype."""
    for path in paths:
        part = functools.reduce(lambda tree, key: tree[key], path.split("."), resolved)
        _check_component(f"config.{path}", part, *COMPONENTS[path])
    if resolved["dtype"] not in DTYPES:
        raise ConfigError(f"config.dtype: {resolved['dtype']!r} is not one of {', '.join(DTYPES)}")


def takes_hidden_dim(cell: str) -> bool:
    """Tell whether the factory of a cell takes a `hidden_dim`.

    Args:
      cell: a name as in a config.

    Returns:
      True if it does; False also where there is no such cell.
    """
    try:
        return "hidden_dim" in inspect.signature(find(CELLS | CONTROLS, cell, "cell")).parameters
    except ValueError:  # `resolve` reports a wrong name
        return False


def _check_component(where: str, part: Any, what: str, table: Mapping, supplied: tuple[str, ...] = ()) -> None:
    """Check the name and the arguments of a component, and fill in the defaults."""
    with error_at(f"{where}.name"):
        factory = find(table, part["name"], what)
    if not isinstance(part.get("kwargs", {}), dict):
        raise ConfigError(f"{where}.kwargs: must be a mapping, got {shown(part['kwargs'])}")
    part["kwargs"] = check_kwargs(f"{where}.kwargs", part["name"], factory, part.get("kwargs", {}), supplied)


def _diagnoses(what: list) -> list[dict]:
    asked = [{"name": part, "kwargs": {}} if isinstance(part, str) else part for part in what]
    for number, part in enumerate(asked):
        where = f"config.diagnose.what[{number}]"
        if not isinstance(part, dict) or "name" not in part or set(part) - {"name", "kwargs"}:
            raise ConfigError(f"{where}: needs a name, or name and kwargs, got {shown(part)}")
        if part["name"] in [earlier["name"] for earlier in asked[:number]]:
            raise ConfigError(f"{where}: {part['name']} is asked for twice")
        _check_component(where, part, "diagnosis", DIAGNOSES)
    return asked


def _leave_width_to_budget(resolved: dict) -> None:
    """Fill in a `hidden_dim` where a budget will decide it."""
    cell, model = resolved["cell"], resolved["model"]
    decided = max(model["param_budget"], model["state_budget"]) > 0
    if decided and takes_hidden_dim(cell["name"]) and isinstance(cell["kwargs"], dict):
        cell["kwargs"] = {"hidden_dim": 1} | cell["kwargs"]
