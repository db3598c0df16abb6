"""An estimate of a sweep's time: some steps of one trial of each program, trained as its workers would train them."""

import dataclasses
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from rnngen.config import RunConfig, build, fingerprint
from rnngen.config.check import ConfigError
from rnngen.config.fingerprint import program
from rnngen.storage.folder import RunFolder
from rnngen.storage.jsonl import read_json, write_json
from rnngen.storage.trackers import Tracker
from rnngen.sweep.executors.local import Local
from rnngen.sweep.job import Job
from rnngen.sweep.plan import Trial

MOST_TIMED = 8  # programs
ROW, ROWS = 20, 3  # steps between two rows, at most, and rows that are timed


class Timing(NamedTuple):
    """Seconds of a program: to compile it, of a step, of an evaluation of one split, of all diagnoses, of a save."""

    compile: float
    step: float
    evaluation: float
    diagnoses: float
    save: float

    def of(self, config: RunConfig) -> float:
        """Return the seconds that a trial takes, compilation left out."""
        train, every = config.train, config.diagnose.every
        times = lambda interval: train.steps // interval if interval else 0  # noqa: E731
        evaluations = 2 + times(train.eval_every)  # before the first step, and of the test split
        diagnoses = 2 + times(every)
        saves = 1 + times(train.save_every)
        return train.steps * self.step + evaluations * self.evaluation + diagnoses * self.diagnoses + saves * self.save


class Estimate(NamedTuple):
    """What was timed, by program, of how many programs, and the seconds of all trials on one worker."""

    timed: dict[RunConfig, Timing]
    programs: int
    seconds: float


def estimate(trials: Sequence[Trial], executor: Local) -> Estimate:
    """Time one trial of each program, of at most `MOST_TIMED`, and add up the time of all trials.

    A program that is not timed is taken to be like the mean of the others. Nothing is written but a temporary folder.

    Raises:
      ConfigError: a trial fails.
    """
    kinds = {kind(trial.config): trial for trial in reversed(trials)}
    every = -(-len(kinds) // MOST_TIMED) or 1
    chosen = dict([*reversed(kinds.items())][::every])
    timed = dict(zip(chosen, _time([trial.config for trial in chosen.values()], executor), strict=True))
    mean = Timing(*(statistics.mean(column) for column in zip(*timed.values(), strict=True)))
    seconds = sum(timed.get(k, mean).compile for k in kinds)
    seconds += sum(timed.get(kind(trial.config), mean).of(trial.config) for trial in trials)
    return Estimate(timed, len(kinds), seconds)


def kind(config: RunConfig) -> RunConfig:
    """Return what decides the time of a step: the program, however long it runs and whatever ends it."""
    train = config.train._replace(steps=1, log_every=1, eval_every=1, save_every=0, stop_metric="", stop_at=0.0)
    return program(dataclasses.replace(config, train=train._replace(patience=0)))


def _time(configs: Sequence[RunConfig], executor: Local) -> list[Timing]:
    """Train the first steps of each config in a worker."""
    with tempfile.TemporaryDirectory(prefix="rnngen-") as home:
        folders = [Path(home) / str(number) for number in range(len(configs))]
        jobs = [_job(config, folder) for config, folder in zip(configs, folders, strict=True)]
        for future in executor.submit(jobs):
            future.result()
        return [_timing(RunFolder(folder), config) for folder, config in zip(folders, configs, strict=True)]


def _job(config: RunConfig, folder: Path) -> Job:
    """Make the job of a trial's first steps: the request to stop ends it when it is evaluated."""
    every = min(build(config).train.log_every, ROW)
    train = config.train._replace(log_every=every, eval_every=ROWS * every, save_every=0, stop_metric="", patience=0)
    short = dataclasses.replace(config, train=train, diagnose=dataclasses.replace(config.diagnose, every=0))
    folder.mkdir()
    RunFolder(folder).request_stop()
    return Job(fingerprint(kind(config)), (short.to_dict(),), (os.fspath(folder),), log=(f"{__name__}:clock",))


def clock(folder: Path, config: dict) -> Tracker:
    """Write when each row came: a tracker."""
    rows: list[list] = []

    def track(row: dict) -> None:
        rows.append([time.perf_counter(), row["step"], row.get("split", row.get("what"))])

    track.close = lambda: write_json(folder / "clock.json", rows)  # type: ignore[attr-defined]
    return track


def _timing(run: RunFolder, config: RunConfig) -> Timing:
    result, rows = run.result() or {}, read_json(run.path / "clock.json") or []
    trained = [row for row in rows if row[2] == "train"]
    if "compile_seconds" not in result or not trained:
        what = f"{config.cell.name} on {config.task.name}"
        raise ConfigError(f"a trial of {what} fails: {result.get('reason', result.get('status', 'it did not end'))}")
    return Timing(
        result["compile_seconds"],
        _seconds_per_step(trained, result["train_seconds"]),
        _seconds_of(rows, ["valid"]),
        _seconds_of(rows, [diagnosis.name for diagnosis in config.diagnose.what]),
        result["save_seconds"],
    )


def _seconds_per_step(trained: list[list], seconds: float) -> float:
    """Return the time of a step, the first row left out where there are others."""
    (began, first, _), (ended, last, _) = trained[0], trained[-1]
    return (ended - began) / (last - first) if last > first else seconds / last


def _seconds_of(rows: list[list], names: Iterable[str]) -> float:
    """Return the time of the last rows of these names, each since the row before it."""
    names = set(names)
    last = {row[2]: row[0] - before[0] for before, row in itertools.pairwise(rows) if row[2] in names}
    return sum(last.values())
