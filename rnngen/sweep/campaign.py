"""A sweep as one thing to run: its trials planned, its folder claimed, what is left of it dealt into jobs."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rnngen.config import Component, build_cell
from rnngen.config.check import ConfigError, error_at
from rnngen.storage.dotted import flatten
from rnngen.storage.folder import OVER, RunFolder
from rnngen.storage.plan import proposals
from rnngen.sweep.driver import FixedTrials, TrialSource, job_of, run_trials
from rnngen.sweep.executors import Executor
from rnngen.sweep.executors.local import Local
from rnngen.sweep.launch import make_executor
from rnngen.sweep.packs import deal
from rnngen.sweep.plan import Trial, claim, claim_search, pending, plan, run_folder
from rnngen.sweep.ranges import Search, metric_place
from rnngen.sweep.study import Study, planned


class SweepRun:
    """What `begin` makes. total, left: trials in all, and those of them that are not over.

    metric, mode: by what a search, or the line that a person sees, calls a trial the best.
    """

    metric, mode = "loss", "min"

    def __init__(self, folder: Path, source: TrialSource, executor: Executor, options: dict, total: int, left: int):
        self.folder, self.source, self.executor, self.options = folder, source, executor, options
        self.total, self.left = total, left

    def run(self, on_over: Callable[[str, Trial], Any]) -> None:
        """Run what is left; see `run_trials`."""
        run_trials(self.folder, self.source, self.executor, on_over, **self.options)

    def score(self, trial: Trial) -> float | None:
        """The trial's metric, None where it has none."""
        return flatten(run_folder(self.folder, trial).result() or {}).get(metric_place(self.metric))

    def detach(self) -> int:
        """Submit what is left, and return the number of jobs."""
        jobs = [job_of(self.folder, trials, **self.options) for trials in self.source.next(0, self.executor.slots)]
        with error_at("launch.executor"):
            self.executor.submit(jobs)
        self.executor.shutdown()
        return len(jobs)


def begin(
    folder: Path, base: dict, space: Any, launch: dict, retry_failed: bool = False, detach: bool = False
) -> SweepRun:
    """Plan a sweep over a complete base config and claim its folder.

    space: what `get_sweep()` returned. launch: resolved. Raises ConfigError before anything is written where a trial
    cannot be built, the folder is another's, or the executor cannot be had; and for `detach` where jobs do not last, or
    where what comes next depends on what came out.
    """
    trials = planned(base, space) if isinstance(space, Search) else plan(base, space)
    if trials is None:
        return _search(folder, base, space, launch, retry_failed, detach)
    executor = _executor(folder, launch, detach)
    with _ended_on_error(executor):
        trials = claim(folder, base, trials)
    todo = pending(folder, trials, retry_failed)
    if isinstance(executor, Local):
        executor.build_loops(map(build_cell, {_loops_key(t.config.cell): t.config.cell for t in todo}.values()))
    packs = deal(todo, launch["pack"], executor)
    return SweepRun(folder, FixedTrials(packs), executor, job_options(launch), len(trials), len(todo))


def _loops_key(cell: Component) -> str:
    """What cells with other loops differ in: numbers make none, but for that of the units."""
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
    done = [RunFolder(folder / "trials" / p["id"]).result() for p in proposals(folder)]
    over = sum(result is not None and (result["status"] in OVER or not retry_failed) for result in done)
    campaign = SweepRun(folder, study, executor, job_options(launch), search.trials, search.trials - over)
    campaign.metric, campaign.mode = search.metric, search.mode
    return campaign


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
    """What of a launch goes with each job."""
    return {"exact": launch["exact"], "log": launch["log"]}
