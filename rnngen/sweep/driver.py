"""The driver: it submits trials to an executor until each of them has a result."""

import itertools
import queue
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol

from rnngen.config.check import ConfigError, error_at
from rnngen.config.fingerprint import fingerprint, program
from rnngen.storage import preemption
from rnngen.sweep.executors import Executor
from rnngen.sweep.job import FatalJobError, Job, WorkerDied, fail
from rnngen.sweep.plan import Trial, run_folder, status_of

LOOK_EVERY = 0.2  # seconds between looks at running trials, which a search may stop


class TrialSource(Protocol):
    """A source of trials: a list, or a search that proposes them one by one."""

    def next(self, running: int, slots: int) -> list[list[Trial]]:
        """Return packs of trials to run now, one job each, while `running` of `slots` jobs are running."""

    def look(self, trials: list[Trial]) -> None:
        """Read what running trials have recorded so far."""

    def over(self, trial: Trial) -> None:
        """Take the result of a trial that is over."""


class FixedTrials:
    """A `TrialSource` of packs that are all planned in advance."""

    def __init__(self, packs: list[list[Trial]]):
        self._packs = packs

    def next(self, running: int, slots: int) -> list[list[Trial]]:
        """Return all packs at the first call."""
        packs, self._packs = self._packs, []
        return packs

    def look(self, trials: list[Trial]) -> None:
        """Do nothing: each trial runs to its end."""

    def over(self, trial: Trial) -> None:
        """Do nothing."""


def run_trials(
    folder: Path, source: TrialSource, executor: Executor, on_over: Callable[[str, Trial], Any], **options: Any
) -> None:
    """Run the trials of a source, and call `on_over` with each trial's status and the trial when it ends.

    A trial that raises, or whose process dies, is recorded as failed with the reason; the others go on, and those that
    were packed with it are tried again alone. However this ends, trials that were running stay unfinished.

    Args:
      on_over: called with (status, trial).
      options: `exact` and `log` of each `Job`.

    Raises:
      ConfigError: no worker can start, nothing can be written, or the executor refuses the jobs.
      Preempted: this process was asked to stop.
    """
    running: dict[Future, list[Trial]] = {}
    ended: queue.SimpleQueue[Future] = queue.SimpleQueue()
    looked = time.monotonic()

    def start(packs: list[list[Trial]]) -> None:
        for trial in itertools.chain(*packs):
            if status_of(folder, trial) == "failed":  # and was asked to be tried again
                run_folder(folder, trial).forget()
        jobs = [job_of(folder, trials, **options) for trials in packs]
        with error_at("launch.executor"):
            futures = executor.submit(jobs)
        for trials, future in zip(packs, futures, strict=True):
            running[future] = trials
            future.add_done_callback(ended.put)

    try:
        while True:
            start(source.next(len(running), executor.slots))
            if not running:
                return
            if preemption.asked():
                begun = [t for trials in running.values() for t in trials if _is_under_way(folder, t)]
                raise preemption.Preempted(f"with {len(begun)} trials under way")
            if time.monotonic() - looked > LOOK_EVERY:
                source.look([trial for trials in running.values() for trial in trials])
                looked = time.monotonic()
            try:
                future = ended.get(timeout=LOOK_EVERY)
            except queue.Empty:
                continue
            trials = running.pop(future)
            if isinstance(future.exception(), FatalJobError):
                raise ConfigError(str(future.exception()))
            start(_settle(folder, trials, future.exception()))
            for trial in trials:
                if (status := status_of(folder, trial)) != "unfinished":
                    source.over(trial)
                    on_over(status, trial)
    finally:
        executor.shutdown()


def _is_under_way(folder: Path, trial: Trial) -> bool:
    return run_folder(folder, trial).config() is not None and status_of(folder, trial) == "unfinished"


def job_of(folder: Path, trials: list[Trial], **options: Any) -> Job:
    """Make the job of some trials."""
    paths = tuple(str(run_folder(folder, trial).path.absolute()) for trial in trials)
    return Job(
        fingerprint(program(trials[0].config)), tuple(trial.config.to_dict() for trial in trials), paths, **options
    )


def _settle(folder: Path, trials: list[Trial], error: BaseException | None) -> list[list[Trial]]:
    """Make sure that trials whose job is over have results; return those to try again, each alone."""
    left = [trial for trial in trials if status_of(folder, trial) == "unfinished"]
    if left and len(trials) > 1:
        return [[trial] for trial in left]
    for trial in left:
        fail(run_folder(folder, trial).path, error or WorkerDied("its job ended without a result"))
    return []
