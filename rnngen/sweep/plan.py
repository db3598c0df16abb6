"""The trials of a sweep, all planned before any of them begins, and the sweep's folder."""

import contextlib
import copy
import dataclasses
import sys
from pathlib import Path
from typing import Any, NamedTuple

from rnngen.config import RunConfig, build, complete, plain, resolve
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

    A folder that holds other trials of the same base config gets the missing ones; those that this sweep does not have
    stay there, marked as left out.

    Raises ConfigError where it holds a sweep of another base config, a search or a run, or is not writable.
    """
    known, listed, there = compare(folder, base, trials)
    if there is None:
        _write(folder, {"config": base, "trials": listed})
    elif there["trials"] != listed:
        _tell_growth(folder, there["trials"], listed)
        _write(folder, there | {"trials": listed})
    return known


def compare(folder: Path, base: dict, trials: list[Trial]) -> tuple[list[Trial], list[dict], dict | None]:
    """Compare a sweep with what its folder holds; return (its trials, the list of all trials, the plan there or None).

    Nothing is written. The trials have the ids of the folder, and those of the folder alone are listed as left out.
    Raises ConfigError as `claim` does.
    """
    there = _check_free(folder)
    if there is None:
        return trials, [_entry(trial) for trial in trials], None
    if "search" in there:
        raise ConfigError(f"{folder}: holds a different sweep: a search there, a list of trials here")
    changed = _base_difference(there["config"], base)
    if changed:
        raise ConfigError(f"{folder}: holds a different sweep: {changed}")
    ids = _ids_there(there, trials)
    known = [trial._replace(id=ids.get(trial.id, trial.id)) for trial in trials]
    mine = {trial.id for trial in known}
    left = [trial | {"left_out": True} for trial in there["trials"] if trial["id"] not in mine]
    return known, [*map(_entry, known), *left], there


def _entry(trial: Trial) -> dict:
    return {"id": trial.id, "overrides": trial.overrides, "labels": trial.labels}


def _base_difference(there: dict, here: dict) -> str:
    """Describe the difference between a folder's base config and a complete one; keys newer than the folder count not.

    Components are compared as they were written: the arguments that a base leaves out may be each trial's own.
    """
    with contextlib.suppress(ConfigError):  # it has a key that is no more
        there = complete(there)
    return difference(there, here)


def _ids_there(there: dict, trials: list[Trial]) -> dict[str, str]:
    """Return the id in a folder of each trial that it holds, by the id of today.

    Ids change when a component gets a new argument, so trials of an old plan are recognised by their config today.
    """
    mine, old = {trial.id for trial in trials}, {trial["id"]: trial for trial in there["trials"]}
    found = {name: name for name in old if name in mine}
    if len(found) in (len(mine), len(old)):  # no other can be one of these
        return found
    built: set[RunConfig] = set()
    for name, trial in old.items():
        if name not in found:
            with contextlib.suppress(ConfigError):  # it cannot be built any more
                found.setdefault(make_trial(there["config"], trial["overrides"], built).id, name)
    return found


def _tell_growth(folder: Path, there: list[dict], listed: list[dict]) -> None:
    """Print how a sweep that has changed compares with its folder, in one line; nothing where only labels have."""
    before, after = ({t["id"]: t.get("left_out", False) for t in trials} for trials in (there, listed))
    if before == after:
        return
    new, left = sum(name not in before for name in after), sum(after.values())
    mine = len(after) - left
    also = f"; {left} others there are left out of its table (rnngen report --all)" if left else ""
    print(f"rnngen: {folder}: has {mine - new} of {mine} trials, and gets {new} more{also}", file=sys.stderr)


def claim_search(folder: Path, base: dict, search: dict) -> None:
    """Do as `claim` for a search, which records its trials one by one, and may now want more or fewer of them."""
    if check_search(folder, base, search) != (here := {"config": base, "trials": [], "search": search}):
        _write(folder, here)


def check_search(folder: Path, base: dict, search: dict) -> dict | None:
    """Return the plan of the same search in a folder, None where there is none; raise ConfigError as `claim` does."""
    there = _check_free(folder)
    if there is None:
        return None
    if "search" not in there:
        raise ConfigError(f"{folder}: holds a different sweep: a list of trials there, a search here")
    old = {"config": resolve(there["config"]).to_dict(), "search": there["search"] | {"trials": None}}
    changed = difference(old, {"config": resolve(base).to_dict(), "search": search | {"trials": None}})
    if changed:
        raise ConfigError(f"{folder}: holds a different sweep: {changed}")
    return there


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
