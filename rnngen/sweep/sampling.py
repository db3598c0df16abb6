"""Translation of a search's ranges, methods and pruners to Optuna's."""

import functools
import hashlib
from typing import Any

from rnngen.config.check import ConfigError
from rnngen.sweep.ranges import Choice, Numbers, Search


def _optuna():
    import optuna  # here, since it takes a while and most commands do not need it

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def make_study(search: Search, config: dict) -> Any:
    """Make an empty study in memory. Raises ConfigError where the pruner refuses its numbers."""
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
    """Make the sampler of one proposal, seeded by the search's seed and the proposal's number."""
    samplers = _optuna().samplers
    kind = {"random": samplers.RandomSampler, "tpe": samplers.TPESampler, "gp": samplers.GPSampler}[search.method]
    digest = hashlib.sha256(f"{search.seed}/{number}".encode()).digest()
    return kind(seed=int.from_bytes(digest[:4], "little"))


def ask(study: Any, search: Search, number: int) -> tuple[Any, dict[str, Any]]:
    """Return proposal `number` as Optuna's trial, and as overrides of a config."""
    study.sampler = make_sampler(search, number)
    proposed = study.ask(distributions(search))
    return proposed, {name: value_of(search.space[name], value) for name, value in proposed.params.items()}


def params_of(proposal: dict, search: Search) -> dict[str, Any]:
    """Return a proposal's parameters for Optuna, with the names of choices as text."""
    return {n: str(v) if isinstance(search.space.get(n), Choice) else v for n, v in proposal["params"].items()}


def distributions(search: Search) -> dict[str, Any]:
    """Return the search's space as Optuna's distributions."""
    return {name: distribution(r) for name, r in search.space.items()}


@functools.lru_cache(maxsize=8)
def state(name: str) -> Any:
    """Return Optuna's trial state of this name."""
    return _optuna().trial.TrialState[name]


def distribution(r: Numbers | Choice) -> Any:
    """Return a range as Optuna's distribution; a choice as its names."""
    distributions = _optuna().distributions
    if isinstance(r, Choice):
        return distributions.CategoricalDistribution(tuple(r.options))
    if r.whole:
        return distributions.IntDistribution(int(r.low), int(r.high), log=r.log, step=r.step)
    return distributions.FloatDistribution(r.low, r.high, log=r.log)


def value_of(r: Numbers | Choice, proposed: Any) -> Any:
    """Return the config's value for Optuna's."""
    return r.options[proposed] if isinstance(r, Choice) else proposed
