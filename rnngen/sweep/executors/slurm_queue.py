"""The jobs of a sweep in the queue of SLURM. They need no driver: results are read from the trials' folders.

slurm/jobs.json            the SLURM job of each trial, by the trial's id
slurm/<job>/               submitit's files: the script, input and output, what was printed outside of trials
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple

from rnngen.storage.folder import RunFolder
from rnngen.storage.jsonl import read_json, write_json
from rnngen.sweep.executors.slurm_jobs import Task, how_ended
from rnngen.sweep.job import Job, WorkerDied

LOOK_EVERY = 2.0  # seconds between looks for the files of jobs that are over
ASK_EVERY = 30.0  # seconds between queries of SLURM, each for all jobs
# Seconds after which an ended job without a result is lost: it may be about to be requeued, and files take a while to
# be visible on another machine.
PATIENCE = 40.0
MANY = 1000


class Awaited(NamedTuple):
    """A future, and the jobs of SLURM that have its trials."""

    future: Future
    folders: tuple[str, ...]
    ids: frozenset[str]


class SlurmQueue:
    """An executor that queues jobs, unless their trials are queued already; one thread watches all of them.

    executor: submitit's. find: returns its object for a job submitted earlier, by folder and id. ask: updates the state
    of all jobs from SLURM. task: makes the `Task` of a job.
    """

    lasting = True

    def __init__(
        self,
        folder: Path,
        executor: Any,
        find: Callable[[Path, str], Any],
        ask: Callable[[], Any],
        task: Callable[[Job], Task],
        workers: int,
        accelerated: bool,
    ):
        self.slots, self.accelerated = workers or MANY, accelerated
        self._folder, self._executor, self._workers = folder, executor, workers
        self._find, self._ask, self._task = find, ask, task
        self._submitted: dict[str, Any] = {}  # submitit's jobs, by their id
        self._awaited: list[Awaited] = []
        self._over_since: dict[str, float] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def submit(self, jobs: Sequence[Job]) -> list[Future]:
        """See `Executor`; trials that are queued already are waited for. Raises ValueError where SLURM refuses."""
        with self._lock:
            out = self._still_out(_trial(folder) for job in jobs for folder in job.folders)
            fresh = [new for job in jobs if (new := _without(job, out)).folders]
            for job, submitted in zip(fresh, self._put(fresh), strict=True):
                self._submitted[submitted.job_id] = submitted
                out |= {_trial(folder): submitted.job_id for folder in job.folders}
            write_json(self._list, (read_json(self._list) or {}) | out)
            ids = [frozenset(out[_trial(folder)] for folder in job.folders) for job in jobs]
            added = [Awaited(Future(), job.folders, those) for job, those in zip(jobs, ids, strict=True)]
            self._awaited += added
        return [awaited.future for awaited in added]

    def shutdown(self) -> None:
        """See `Executor`: jobs stay in the queue and go on."""
        self._closed.set()
        self._thread.join(timeout=LOOK_EVERY)  # no longer, since SLURM may take minutes to answer

    @property
    def _list(self) -> Path:
        return self._folder / "jobs.json"

    def _still_out(self, trials: Iterable[str]) -> dict[str, str]:
        """Return the trials that are queued or running, with their job."""
        listed = read_json(self._list) or {}
        known = {trial: listed[trial] for trial in trials if trial in listed}
        for number in set(known.values()) - set(self._submitted):
            self._submitted[number] = self._find(self._folder / "%j", number)
        if known:
            self._ask()
        return {trial: number for trial, number in known.items() if not how_ended(self._submitted[number])}

    def _put(self, jobs: list[Job]) -> list[Any]:
        if not jobs:
            return []
        self._executor.update_parameters(slurm_array_parallelism=self._workers or len(jobs))
        try:
            return self._executor.submit_array([self._task(job) for job in jobs])
        except RuntimeError as error:  # submitit's, with the output of sbatch
            raise ValueError(f"the jobs were not submitted: {str(error).strip() or 'sbatch failed'}") from error

    def _watch(self) -> None:
        asked = float("-inf")
        while not self._closed.wait(LOOK_EVERY):
            with self._lock:
                if self._awaited and time.monotonic() - asked > ASK_EVERY:
                    self._ask()
                    asked = time.monotonic()
                self._awaited = [awaited for awaited in self._awaited if not self._settle(awaited)]

    def _settle(self, awaited: Awaited) -> bool:
        """End a future if its jobs are over; return True if they are."""
        ends = {number: how_ended(self._submitted[number]) for number in awaited.ids}
        for number, end in ends.items():
            if not end:
                self._over_since.pop(number, None)
                return False
        since = [self._over_since.setdefault(number, time.monotonic()) for number in ends]
        if all(RunFolder(folder).result() is not None for folder in awaited.folders):
            awaited.future.set_result(None)
        elif time.monotonic() - max(since) < PATIENCE:
            return False
        else:
            lost = ", ".join(f"{number}: {end}" for number, end in sorted(ends.items()))
            awaited.future.set_exception(WorkerDied(f"its job of SLURM is over without a result, {lost}"))
        return True


def _trial(folder: str) -> str:
    return Path(folder).name


def _without(job: Job, out: dict[str, str]) -> Job:
    """Return the job without the trials that are queued or running."""
    left = [(c, f) for c, f in zip(job.configs, job.folders, strict=True) if _trial(f) not in out]
    return job._replace(configs=tuple(c for c, _ in left), folders=tuple(f for _, f in left))
