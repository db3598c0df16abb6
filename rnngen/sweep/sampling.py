"""Ranges, methods and pruners of a search as Optuna has them."""

import functools
import hashlib
from typing import Any

from rnngen.config.check import ConfigError
from rnngen.sweep.ranges import Choice, Numbers, Search


def _optuna():
    import optuna  # here: it takes a while, and most commands need none

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def make_study(search: Search, config: dict) -> Any:
    """An empty study in memory. Raises ConfigError where the pruner refuses its numbers."""
    optuna = _optuna()
    first = search.pruner["first"] or config["train"]["eval_every"] or config["train"]["steps"]
    factor = search.pruner["factor"]
    pruner = {
        "none": lambda: optuna.pruners.NopPruner(),
        "asha": lambda: optuna.pruners.SuccessiveHalvingPruner(first, factor),
        "hyperband": lambda: optuna.pruners.HyperbandPruner(first, config["train"]["steps"], factor),
    }[search.pruner["name"]]
    try:
        made = pruner()
    except ValueError as error:
        raise ConfigError(f"search: pruner: {error}") from error
    direction = {"min": "minimize", "max": "maximize"}[search.mode]
    return optuna.create_study(direction=direction, pruner=made, study_name="rnngen")


def make_sampler(search: Search, number: int) -> Any:
    """The sampler of one proposal, whose randomness follows from the search's seed and the proposal's number."""
    samplers = _optuna().samplers
    kind = {"random": samplers.RandomSampler, "tpe": samplers.TPESampler, "gp": samplers.GPSampler}[search.method]
    digest = hashlib.sha256(f"{search.seed}/{number}".encode()).digest()
    return kind(seed=int.from_bytes(digest[:4], "little"))


def ask(study: Any, search: Search, number: int) -> tuple[Any, dict[str, Any]]:
    """Proposal `number` as Optuna's trial, and as overrides of a config."""
    study.sampler = make_sampler(search, number)
    proposed = study.ask(distributions(search))
    return proposed, {name: value_of(search.space[name], value) for name, value in proposed.params.items()}


def params_of(proposal: dict, search: Search) -> dict[str, Any]:
    """What was proposed, as `proposals` has it; the names of a choice are text."""
    return {n: str(v) if isinstance(search.space.get(n), Choice) else v for n, v in proposal["params"].items()}


def distributions(search: Search) -> dict[str, Any]:
    """The search's space as Optuna has it."""
    return {name: distribution(r) for name, r in search.space.items()}


@functools.lru_cache(maxsize=8)
def state(name: str) -> Any:
    """How a trial ended, as Optuna has it."""
    return _optuna().trial.TrialState[name]


def distribution(r: Numbers | Choice) -> Any:
    """A range as Optuna has it: of a choice, the names."""
    distributions = _optuna().distributions
    if isinstance(r, Choice):
        return distributions.CategoricalDistribution(tuple(r.options))
    if r.whole:
        return distributions.IntDistribution(int(r.low), int(r.high), log=r.log, step=r.step)
    return distributions.FloatDistribution(r.low, r.high, log=r.log)


def value_of(r: Numbers | Choice, proposed: Any) -> Any:
    """What a config gets for what Optuna proposed."""
    return r.options[proposed] if isinstance(r, Choice) else proposed
