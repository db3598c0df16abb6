"""The trials of a sweep: planned before any of them begins, and the folder that is theirs."""

import copy
import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

from rnngen.config import RunConfig, build, plain, resolve
from rnngen.config.check import ConfigError, set_override
from rnngen.config.fingerprint import difference, fingerprint
from rnngen.runs.train import check_writable
from rnngen.storage.folder import OVER, RunFolder
from rnngen.storage.jsonl import SWEEP, read_json, write_json
from rnngen.sweep.space import Labelled, bare


class Trial(NamedTuple):
    """One trial: a stable id, what it changes in the sweep's config, and the resolved config.

    labels: dotted name -> what the sweep's file calls the value there.
    """

    id: str
    overrides: dict[str, Any]
    config: RunConfig
    labels: dict[str, str]


def make_trial(base: dict, overrides: dict[str, Any], built: set[RunConfig] | None = None) -> Trial:
    """The trial that changes a complete base config so. Raises ConfigError where it cannot be built.

    built: configs, apart from their seed, that are known to be good; a new one joins them.
    """
    labels = {name: value.label for name, value in overrides.items() if isinstance(value, Labelled)}
    config, overrides = (
        copy.deepcopy(base),
        {name: plain(bare(value), f"config.{name}") for name, value in overrides.items()},
    )
    for name, value in overrides.items():
        set_override(config, name, value, base)
    resolved = resolve(config)
    but_seed = dataclasses.replace(resolved, seed=0)
    if built is None or but_seed not in built:
        build(resolved)
    if built is not None:
        built.add(but_seed)
    return Trial(fingerprint(resolved), overrides, resolved, labels)


def plan(base: dict, space: Any) -> list[Trial]:
    """The trials of a space over a complete base config.

    Raises ConfigError where one cannot be built, or is there twice: before any of them has begun.
    """
    if not isinstance(space, list) or not all(isinstance(overrides, dict) for overrides in space):
        raise ConfigError(
            "get_sweep() must return a list of overrides, as axis, product, zipped and chain make it, or a search"
        )
    trials: dict[str, Trial] = {}
    built: set[RunConfig] = set()
    for number, overrides in enumerate(space, start=1):
        try:
            trial = make_trial(base, overrides, built)
        except ConfigError as error:
            raise ConfigError(f"trial {number} of {len(space)}: {error}") from error
        if trial.id in trials:
            raise ConfigError(f"trial {number} of {len(space)}: the same config as an earlier one: {trial.overrides}")
        trials[trial.id] = trial
    if not trials:
        raise ConfigError("the sweep has no trials")
    return list(trials.values())


def claim(folder: Path, base: dict, trials: list[Trial]) -> list[Trial]:
    """Make the folder this sweep's; returns the trials, under the ids that they have there.

    Raises ConfigError where it is another's, a run's, or not writable.
    """
    there = _check_free(folder)
    listed = [{"id": trial.id, "overrides": trial.overrides, "labels": trial.labels} for trial in trials]
    known = None if there is None else _known(there, trials)
    if there is not None and known is None:
        changed = difference(there["config"], base) or f"{len(there['trials'])} trials there, {len(trials)} here"
        raise ConfigError(f"{folder}: holds a different sweep: {changed}")
    if there is None:
        _write(folder, {"config": base, "trials": listed})
    return known or trials


def _known(there: dict, trials: list[Trial]) -> list[Trial] | None:
    """The trials under the ids that a folder has for them; None: it is another sweep's.

    An id changes with the arguments that there are: what was planned before one came is known by what it is today.
    """
    ids = [trial["id"] for trial in there["trials"]]
    if ids == [trial.id for trial in trials]:
        return trials
    try:
        today = [make_trial(there["config"], trial["overrides"], set()) for trial in there["trials"]]
    except ConfigError:
        return None
    if [trial.id for trial in today] != [trial.id for trial in trials]:
        return None
    return [trial._replace(id=name) for trial, name in zip(trials, ids, strict=True)]


def claim_search(folder: Path, base: dict, search: dict) -> None:
    """`claim` for a search, which writes its trials down one by one as it makes them; it may ask for more or fewer."""
    there, here = _check_free(folder), {"config": base, "trials": [], "search": search}
    if there is not None:
        old = {"config": resolve(there["config"]).to_dict(), "search": (there.get("search") or {}) | {"trials": None}}
        changed = difference(old, {"config": resolve(base).to_dict(), "search": search | {"trials": None}})
        if changed:
            raise ConfigError(f"{folder}: holds a different sweep: {changed}")
    if there != here:
        _write(folder, here)


def _check_free(folder: Path) -> dict | None:
    """The sweep that a folder holds, if any."""
    check_writable(folder)
    if (folder / "config.json").exists():
        raise ConfigError(f"{folder}: holds a single run, not a sweep")
    return read_json(folder / "sweep.json", SWEEP)


def _write(folder: Path, sweep: dict) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "sweep.json", sweep)


def pending(folder: Path, trials: list[Trial], retry_failed: bool) -> list[Trial]:
    """The trials that have no result yet, and the failed ones too if asked."""
    over = OVER if retry_failed else (*OVER, "failed")
    return [t for t in trials if status_of(folder, t) not in over]


def status_of(folder: Path, trial: Trial) -> str:
    """finished, diverged, pruned, failed, or unfinished."""
    return (run_folder(folder, trial).result() or {"status": "unfinished"})["status"]


def run_folder(folder: Path, trial: Trial) -> RunFolder:
    """Where a trial's records are."""
    return RunFolder(folder / "trials" / trial.id)
