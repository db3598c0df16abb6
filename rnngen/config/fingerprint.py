"""Comparison of configs: a fingerprint of one, the part that decides its compiled programs, the difference of two."""

import dataclasses
import hashlib
import json
from typing import Any

from rnngen.config.run_config import Arguments, Component, RunConfig
from rnngen.storage.dotted import flatten
from rnngen.storage.jsonl import encode


def fingerprint(config: RunConfig) -> str:
    """Name a config: the same config has the same name, on any machine.

    Args:
      config: a resolved config.

    Returns:
      A few letters and digits, by which trials are called.
    """
    text = json.dumps(encode(config.to_dict()), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def program(config: RunConfig) -> RunConfig:
    """Return the part of a config that decides the compiled programs: equal where the same programs serve two runs.

    This is the only notion of "the same program": by it compiled programs are cached, trials packed together, and jobs
    dealt to the worker that has compiled theirs. Left out are the seed; the fractional numbers of initialisers, which
    are in the parameters; and those of the optimiser, which are in its state, unless a schedule computes with them. All
    other numbers may be constants of a program, such as those of a cell's step.
    """
    optim = config.optim
    rate = 0.0 if optim.schedule.name == "constant" else optim.learning_rate
    masked = dataclasses.replace(
        optim,
        kwargs=_masked(optim.kwargs),
        learning_rate=rate,
        clip_norm=float(optim.clip_norm > 0),
        clip_value=float(optim.clip_value > 0),
    )
    made = {name: value for name, value in config.cell.kwargs.items() if name.endswith("_init")}
    initial = {name: _without_fractions(value) for name, value in made.items() if isinstance(value, dict)}
    cell = Component(config.cell.name, Arguments({**config.cell.kwargs, **initial}))
    head = Component(config.model.head_init.name, _masked(config.model.head_init.kwargs))
    model = dataclasses.replace(config.model, head_init=head)
    return dataclasses.replace(config, seed=0, cell=cell, model=model, optim=masked)


def difference(there: dict, here: dict) -> str:
    """Describe the difference between two configs, in one line."""
    old, new = flatten(there), flatten(here)
    keys = [k for k in sorted(old | new) if old.get(k) != new.get(k)]
    shown = [f"{k} is {old.get(k)!r:.80} there, {new.get(k)!r:.80} here" for k in keys[:3]]
    return "; ".join(shown) + (f"; and {len(keys) - 3} more" if len(keys) > 3 else "")


def _masked(kwargs: Arguments) -> Arguments:
    return Arguments(_without_fractions(dict(kwargs)))


def _without_fractions(value: Any) -> Any:
    """Mask every fractional number; whole ones are shapes and counts, and stay."""
    if isinstance(value, dict):
        return {key: _without_fractions(v) for key, v in value.items()}
    return 0.0 if isinstance(value, float) else value
