"""The config of a run once it is resolved: frozen and hashable, so that it is its own cache key.

`to_dict` is what `config.json` holds, and `from_dict` reads it back.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from rnngen.storage.jsonl import encode
from rnngen.training import TrainConfig

# Parts that are left out of `to_dict` at these values: a run is called by its config, also one from before there were
# such parts.
USUAL: dict[str, dict[str, Any]] = {
    "train": {"credit": {"name": "none", "kwargs": {}}, "rule": {"name": "bptt", "kwargs": {}}},
    "model": {"block": {"name": "none", "kwargs": {}}, "state_budget": 0},
}


class Arguments(Mapping[str, Any]):
    """The arguments of a factory, plain values that never change; equal where their JSON is, so that 1 is not 1.0."""

    __slots__ = ("_json", "_values")

    def __init__(self, values: Mapping[str, Any]):
        self._values = dict(values)
        self._json = json.dumps(encode(self._values), sort_keys=True)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        return self._json == other._json if isinstance(other, Arguments) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._json)

    def __repr__(self) -> str:
        return repr(self._values)


@dataclass(frozen=True)
class Component:
    """A part that a config names: a cell, a task, an optimiser.

    Attributes:
      name: of a table's member, or `package.module:factory`.
      kwargs: arguments of the factory.
    """

    name: str
    kwargs: Arguments

    @classmethod
    def of(cls, part: Mapping[str, Any]) -> "Component":
        """Freeze `{"name": ..., "kwargs": {...}}`."""
        return cls(part["name"], Arguments(part["kwargs"]))


@dataclass(frozen=True)
class ModelConfig:
    """The layers of a model; see `base_config`."""

    num_layers: int
    param_budget: int
    embed_dim: int
    dropout: float
    input_dropout: float
    recurrent_dropout: float
    locked_dropout: bool
    bidirectional: bool
    head_init: Component
    latent: Component
    block: Component
    state_budget: int
    engine: Component


@dataclass(frozen=True)
class OptimConfig:
    """The optimiser, its schedule, clipping and regulariser; see `base_config`."""

    name: str
    kwargs: Arguments
    learning_rate: float
    clip_norm: float
    clip_value: float
    schedule: Component
    regularizer: Component


@dataclass(frozen=True)
class DiagnoseConfig:
    """The diagnoses of a run, by name; see `base_config`."""

    every: int
    what: tuple[Component, ...]
    examples: int


@dataclass(frozen=True)
class RunConfig:
    """Everything that a run is made of, as names and numbers.

    Attributes:
      seed, dtype, cell, task, model, optim, train, diagnose: the keys of `base_config`.
      credit, rule: `train.credit` and `train.rule`.
    """

    seed: int
    dtype: str
    cell: Component
    task: Component
    model: ModelConfig
    optim: OptimConfig
    train: TrainConfig
    credit: Component
    rule: Component
    diagnose: DiagnoseConfig

    @classmethod
    def from_dict(cls, resolved: Mapping[str, Any]) -> "RunConfig":
        """Freeze a resolved config.

        Args:
          resolved: a config with every key.

        Returns:
          The frozen config.
        """
        model, optim, diagnose = (dict(resolved[name]) for name in ("model", "optim", "diagnose"))
        model = USUAL["model"] | model
        model |= {name: Component.of(model[name]) for name in ("head_init", "latent", "block", "engine")}
        optim |= {name: Component.of(optim[name]) for name in ("schedule", "regularizer")}
        optim["kwargs"] = Arguments(optim["kwargs"])
        train = dict(resolved["train"])
        train.pop("flop_budget", None)  # what it came to is in the steps
        credit, rule = (Component.of(train.pop(name, usual)) for name, usual in USUAL["train"].items())
        diagnose["what"] = tuple(map(Component.of, diagnose["what"]))
        return cls(
            seed=resolved["seed"],
            dtype=resolved["dtype"],
            cell=Component.of(resolved["cell"]),
            task=Component.of(resolved["task"]),
            model=ModelConfig(**model),
            optim=OptimConfig(**optim),
            train=TrainConfig(**train),
            credit=credit,
            rule=rule,
            diagnose=DiagnoseConfig(**diagnose),
        )

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain nested values.

        Returns:
          The config as `config.json` holds it.
        """
        values = plain_values(self)
        values["train"] |= {name: values.pop(name) for name in USUAL["train"]}
        for group, usual in USUAL.items():
            values[group] = {k: part for k, part in values[group].items() if k not in usual or part != usual[k]}
        return values


def plain_values(value: Any) -> Any:
    """Return a frozen config, or a part of one, as dicts, lists, numbers and text."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain_values(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {name: plain_values(v) for name, v in value.items()}
    if hasattr(value, "_asdict"):
        return {name: plain_values(v) for name, v in value._asdict().items()}
    return [plain_values(v) for v in value] if isinstance(value, list | tuple) else value
