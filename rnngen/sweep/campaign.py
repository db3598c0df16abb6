"""A sweep ready to run: its trials planned, its folder claimed, the remaining trials grouped into jobs."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rnngen.config import Component, build_cells
from rnngen.config.check import ConfigError, error_at
from rnngen.runs.train import check_writable
from rnngen.storage import locks, preemption
from rnngen.storage.dotted import flatten, metric_place
from rnngen.storage.folder import OVER, RunFolder
from rnngen.storage.plan import proposals
from rnngen.sweep.driver import FixedTrials, TrialSource, job_of, run_trials
from rnngen.sweep.executors import Executor
from rnngen.sweep.executors.local import Local
from rnngen.sweep.launch import make_executor
from rnngen.sweep.packs import deal
from rnngen.sweep.plan import Trial, claim, claim_search, pending, plan, run_folder
from rnngen.sweep.ranges import Search
from rnngen.sweep.study import Study, planned


class SweepRun:
    """A sweep that `begin` has planned. total, left: the number of trials, and of those that are not over.

    metric, mode: the criterion for the best trial, in a search and in the progress line.
    """

    metric, mode = "loss", "min"

    def __init__(self, folder: Path, source: TrialSource, executor: Executor, options: dict, total: int, left: int):
        self.folder, self.source, self.executor, self.options = folder, source, executor, options
        self.total, self.left = total, left

    def run(self, on_over: Callable[[str, Trial], Any]) -> None:
        """Run the remaining trials; see `run_trials`."""
        run_trials(self.folder, self.source, self.executor, on_over, **self.options)

    def score(self, trial: Trial) -> float | None:
        """Return the trial's metric, or None."""
        return flatten(run_folder(self.folder, trial).result() or {}).get(metric_place(self.metric))

    def detach(self) -> int:
        """Submit the remaining trials, and return the number of jobs."""
        jobs = [job_of(self.folder, trials, **self.options) for trials in self.source.next(0, self.executor.slots)]
        with error_at("launch.executor"):
            self.executor.submit(jobs)
        self.executor.shutdown()
        return len(jobs)


@contextlib.contextmanager
def held(
    folder: Path, base: dict, space: Any, launch: dict, *, take_over: float = 0.0, own: bool = True, **options: bool
) -> Iterator[SweepRun]:
    """Hold a sweep's folder for this process, and give what `begin` makes of it.

    take_over: see `locks.hold`. own: see `preemption.listening`. options: of `begin`. Raises ConfigError where the
    folder cannot be written.
    """
    check_writable(folder)
    # Longer than its workers, which it waits for.
    with preemption.listening(preemption.GRACE + 8, own=own), locks.hold(folder, take_over):
        yield begin(folder, base, space, launch, **options)


def begin(
    folder: Path, base: dict, space: Any, launch: dict, retry_failed: bool = False, detach: bool = False
) -> SweepRun:
    """Plan a sweep over a complete base config and claim its folder.

    Args:
      space: the result of `get_sweep()`.
      retry_failed: train failed trials again.
      detach: check that the jobs can go on without this process.

    Raises:
      ConfigError: a trial cannot be built, the folder holds another sweep, or the executor is not available; with
        `detach`, jobs end with this process, or later trials depend on earlier results. Nothing is written.
    """
    trials = planned(base, space) if isinstance(space, Search) else plan(base, space)
    if trials is None:
        return _search(folder, base, space, launch, retry_failed, detach)
    executor = _executor(folder, launch, detach)
    with _ended_on_error(executor):
        trials = claim(folder, base, trials)
    todo = pending(folder, trials, retry_failed)
    if isinstance(executor, Local):
        executor.build_loops(build_cells({_loops_key(t.config.cell): t.config.cell for t in todo}.values()))
    packs = deal(todo, launch["pack"], executor)
    return SweepRun(folder, FixedTrials(packs), executor, job_options(launch), len(trials), len(todo))


def _loops_key(cell: Component) -> str:
    """Return a key equal for cells with the same loops: of numbers, only that of the units makes a difference."""
    arguments = {name: value for name, value in cell.kwargs.items() if isinstance(value, str | bool)}
    return str((cell.name, cell.kwargs.get("hidden_dim"), arguments))


def _search(folder: Path, base: dict, search: Search, launch: dict, retry_failed: bool, detach: bool) -> SweepRun:
    if detach:
        raise ConfigError(
            "--detach: what a search by results tries next needs a driver that stays; use method='random'"
        )
    study = Study(folder, base, search, retry_failed)
    executor = _executor(folder, launch, detach)
    with _ended_on_error(executor):
        claim_search(folder, base, search.record())
    left = search.trials - over(folder, search.trials, retry_failed)
    campaign = SweepRun(folder, study, executor, job_options(launch), search.trials, left)
    campaign.metric, campaign.mode = search.metric, search.mode
    return campaign


def over(folder: Path, trials: int, retry_failed: bool) -> int:
    """Count the trials of a search that are over, among as many proposals as it now has."""
    asked = [p for p in proposals(folder) if p["numbers"][0] < trials]
    results = [RunFolder(folder / "trials" / p["id"]).result() for p in asked]
    return sum(result is not None and (result["status"] in OVER or not retry_failed) for result in results)


def _executor(folder: Path, launch: dict, detach: bool) -> Executor:
    executor = make_executor(launch, folder)
    if detach and not executor.lasting:
        executor.shutdown()
        raise ConfigError(f"--detach: jobs of the executor {launch['executor']['name']!r} end with this process")
    return executor


@contextlib.contextmanager
def _ended_on_error(executor: Executor) -> Iterator[None]:
    try:
        yield
    except BaseException:
        executor.shutdown()
        raise


def job_options(launch: dict) -> dict[str, Any]:
    """Return the options of a launch that go with each job."""
    return {"exact": launch["exact"], "log": launch["log"]}
