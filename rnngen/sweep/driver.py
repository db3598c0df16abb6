"""Plans a sweep's trials, keeps the workers busy with those that are not done, and counts the outcomes."""

import copy
import queue
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

from rnngen import process
from rnngen.config import build, config_id, difference, plain, resolve
from rnngen.configcheck import ConfigError, set_override
from rnngen.records import TRAINED, RunFolder, read_json, write_json
from rnngen.run import check_writable
from rnngen.sweep.space import Labelled, Space, bare
from rnngen.sweep.worker import Worker


class Trial(NamedTuple):
    """One trial: a stable id, what it changes in the sweep's config, and the resolved config.

    labels: dotted name -> what the sweep's file calls the value there.
    """

    id: str
    overrides: dict[str, Any]
    config: dict
    labels: dict[str, str]


def plan(base: dict, space: Space) -> list[Trial]:
    """The trials of a space over a complete base config.

    Raises ConfigError where one cannot be built, or is there twice: before any of them has begun.
    """
    if not isinstance(space, list) or not all(isinstance(overrides, dict) for overrides in space):
        raise ConfigError("get_sweep() must return a list of overrides, as axis, product, zipped and chain make it")
    trials: dict[str, Trial] = {}
    for number, overrides in enumerate(space, start=1):
        labels = {name: value.label for name, value in overrides.items() if isinstance(value, Labelled)}
        config, overrides = copy.deepcopy(base), {name: plain(bare(value)) for name, value in overrides.items()}
        try:
            for name, value in overrides.items():
                set_override(config, name, value)
            resolved = resolve(config)
            build(resolved)
        except ConfigError as error:
            raise ConfigError(f"trial {number} of {len(space)}: {error}") from error
        trial = Trial(config_id(resolved), overrides, resolved, labels)
        if trial.id in trials:
            raise ConfigError(f"trial {number} of {len(space)}: the same config as an earlier one: {overrides}")
        trials[trial.id] = trial
    if not trials:
        raise ConfigError("the sweep has no trials")
    return list(trials.values())


def claim(folder: Path, base: dict, trials: list[Trial]) -> None:
    """Make the folder this sweep's. Raises ConfigError where it is another's, a run's, or not writable."""
    check_writable(folder)
    if (folder / "config.json").exists():
        raise ConfigError(f"{folder}: holds a single run, not a sweep")
    listed = [{"id": trial.id, "overrides": trial.overrides, "labels": trial.labels} for trial in trials]
    there = read_json(folder / "sweep.json")
    if there is not None and [t["id"] for t in there["trials"]] != [t.id for t in trials]:
        changed = difference(there["config"], base) or f"{len(there['trials'])} trials there, {len(trials)} here"
        raise ConfigError(f"{folder}: holds a different sweep: {changed}")
    if there is None:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "sweep.json", {"config": base, "trials": listed})


def pending(folder: Path, trials: list[Trial], retry_failed: bool) -> list[Trial]:
    """The trials that have no result yet, and the failed ones too if asked."""
    over = TRAINED if retry_failed else (*TRAINED, "failed")
    return [t for t in trials if status_of(folder, t) not in over]


def status_of(folder: Path, trial: Trial) -> str:
    """finished, diverged, failed, or unfinished."""
    return (run_folder(folder, trial).result() or {"status": "unfinished"})["status"]


def run_folder(folder: Path, trial: Trial) -> RunFolder:
    """Where a trial's records are."""
    return RunFolder(folder / "trials" / trial.id)


def run_trials(folder: Path, trials: list[Trial], workers: int, on_event: Callable[[str, Trial], Any]) -> None:
    """Run the trials in `workers` processes. on_event gets ("start", trial), then (its status, trial).

    A trial that raises, or whose process dies, is recorded as failed with the reason; the others go on.
    On KeyboardInterrupt the processes are ended, and the trials that were running stay unfinished.
    """
    cache = tempfile.TemporaryDirectory(prefix="rnngen-compiled-")
    idle: queue.Queue[Worker] = queue.Queue()
    crew = [Worker(cores, devices, cache.name) for cores, devices in share_cores(workers)]
    for worker in crew:
        idle.put(worker)

    def one(trial: Trial) -> None:
        worker = idle.get()
        try:
            on_event("start", trial)
            worker.run(trial.config, run_folder(folder, trial))
            on_event(status_of(folder, trial), trial)
        finally:
            idle.put(worker)

    pool = ThreadPoolExecutor(max_workers=workers)
    try:
        for done in as_completed([pool.submit(one, trial) for trial in trials]):
            done.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in crew:
            worker.stop()
        pool.shutdown(wait=True)
        cache.cleanup()


def share_cores(workers: int) -> list[tuple[list[int], int]]:
    """The cores of this process dealt out to workers, and how many devices each makes of its own.

    Where there are fewer cores than workers, each may use all, as one device.
    """
    cores = process.cores()
    if workers > len(cores):
        return [(cores, 1)] * workers
    return [(mine, len(mine)) for mine in (cores[i::workers] for i in range(workers))]
