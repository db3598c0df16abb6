"""The trials of a sweep, all planned before any of them begins, and the sweep's folder."""

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
    """One trial: a stable id, its overrides of the sweep's config, and the resolved config.

    labels: dotted name -> the label of the value in the sweep's file.
    """

    id: str
    overrides: dict[str, Any]
    config: RunConfig
    labels: dict[str, str]


def make_trial(base: dict, overrides: dict[str, Any], built: set[RunConfig] | None = None) -> Trial:
    """Make the trial with these overrides of a complete base config. Raises ConfigError where it cannot be built.

    built: configs, without their seed, that are known to be valid; a new one is added.
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
    """Plan the trials of a space over a complete base config.

    Raises ConfigError where one cannot be built, or occurs twice.
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
    """Claim the folder for this sweep; return the trials, with the ids that they have there.

    Raises ConfigError where it holds another sweep or a run, or is not writable.
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
    """Return the trials with their ids in a folder's plan; None if the plan is another sweep's.

    Ids change when a component gets a new argument, so trials of an old plan are recognised by their config today.
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
    """Do as `claim` for a search, which records its trials one by one, and may now want more or fewer of them."""
    there, here = _check_free(folder), {"config": base, "trials": [], "search": search}
    if there is not None:
        old = {"config": resolve(there["config"]).to_dict(), "search": (there.get("search") or {}) | {"trials": None}}
        changed = difference(old, {"config": resolve(base).to_dict(), "search": search | {"trials": None}})
        if changed:
            raise ConfigError(f"{folder}: holds a different sweep: {changed}")
    if there != here:
        _write(folder, here)


def _check_free(folder: Path) -> dict | None:
    """Return the plan of the sweep that a folder holds, if any."""
    check_writable(folder)
    if (folder / "config.json").exists():
        raise ConfigError(f"{folder}: holds a single run, not a sweep")
    return read_json(folder / "sweep.json", SWEEP)


def _write(folder: Path, sweep: dict) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "sweep.json", sweep)


def pending(folder: Path, trials: list[Trial], retry_failed: bool) -> list[Trial]:
    """Return the trials without a result and, with `retry_failed`, the failed ones."""
    over = OVER if retry_failed else (*OVER, "failed")
    return [t for t in trials if status_of(folder, t) not in over]


def status_of(folder: Path, trial: Trial) -> str:
    """Return "finished", "diverged", "pruned", "failed" or "unfinished"."""
    return (run_folder(folder, trial).result() or {"status": "unfinished"})["status"]


def run_folder(folder: Path, trial: Trial) -> RunFolder:
    """Return a trial's run folder."""
    return RunFolder(folder / "trials" / trial.id)
