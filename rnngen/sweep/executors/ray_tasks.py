"""Tasks of Ray, on this machine or on a cluster with a shared file system.

A task whose worker or machine dies is started again elsewhere, and each of its trials goes on from its last checkpoint.
Workers are reused from task to task, to import and compile only once; those with a GPU are not, since a process cannot
move to another GPU.
"""

import contextlib
import functools
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from rnngen.sweep.executors.library import import_path, optional, perform_as_guest
from rnngen.sweep.executors.ray_session import connect, first_sentence, session
from rnngen.sweep.job import Job, WorkerDied


def ray(
    folder: Path,
    workers: int = 0,
    address: str = "",
    cpus: float = 1,
    gpus: float = 0,
    retries: int = 2,
    dashboard: bool = False,
) -> "RayTasks":
    """Run jobs as tasks of Ray.

    Args:
      folder: of the sweep.
      workers: tasks at once; 0: as many as fit.
      address: "" to start Ray here with all cores and GPUs, or "auto" or "host:port" of a running cluster.
      cpus: of each worker.
      gpus: of each worker; fractions share a GPU.
      retries: how often a job whose worker or machine died is started again.
      dashboard: serve Ray's dashboard, where Ray is started here.

    Returns:
      The executor.

    Raises:
      ValueError: ray is not installed, no cluster answers, or this machine has less than a worker needs.
    """
    if workers < 0 or cpus <= 0 or gpus < 0 or retries < 0:
        raise ValueError("cpus must be positive, and workers, gpus and retries not negative")
    library = optional("ray", "ray")
    with contextlib.ExitStack() as started:
        if address and not library.is_initialized():
            started.callback(library.shutdown)
            connect(library, address)
        elif not library.is_initialized():
            started.enter_context(session(library, retries, dashboard))
        fit = _fit(library.cluster_resources(), {"CPU": cpus, "GPU": gpus})
        if not fit and not address:
            raise ValueError(f"a worker of {cpus:g} CPUs and {gpus:g} GPUs does not fit on this machine")
        work = library.remote(num_cpus=cpus, num_gpus=gpus, max_retries=retries)(perform_as_guest)
        # Ray shows a worker its own GPUs, but all of them to one that asked for none.
        submit = functools.partial(work.remote, path=import_path(), devices=max(1, int(cpus)), gpu=None if gpus else "")
        return RayTasks(library, submit, workers, fit, accelerated=gpus > 0, started=started.pop_all())


def _fit(there: dict[str, float], needed: dict[str, float]) -> int:
    return int(min(there.get(name, 0) // amount for name, amount in needed.items() if amount > 0))


class RayTasks:
    """An executor whose thread submits waiting jobs to Ray, at most `workers` at once; Ray runs as many as fit.

    submit: starts a job and returns Ray's reference to it. started: closed with this executor.
    """

    lasting = False

    def __init__(
        self, library: Any, submit: Any, workers: int, fit: int, accelerated: bool, started: contextlib.ExitStack
    ):
        self.slots, self.accelerated = workers or max(1, fit), accelerated
        self._ray, self._submit, self._started = library, submit, started
        self._jobs: queue.SimpleQueue[tuple[Job, Future] | None] = queue.SimpleQueue()
        self._room = threading.Semaphore(workers or 2**31 - 1)
        self._running: set[Any] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def submit(self, jobs: Sequence[Job]) -> list[Future]:
        """See `Executor`."""
        futures: list[Future] = [Future() for _ in jobs]
        for pair in zip(jobs, futures, strict=True):
            self._jobs.put(pair)
        return futures

    def shutdown(self) -> None:
        """See `Executor`. A cluster that was already running goes on."""
        with self._lock:
            if self._closed:
                return
            self._closed, running = True, list(self._running)
        self._jobs.put(None)
        self._room.release()
        self._thread.join()
        for task in running:
            self._ray.cancel(task, force=True)
        if running:  # else a worker could still write to a folder that the next sweep resumes
            self._ray.wait(running, num_returns=len(running), timeout=10)
        self._started.close()

    def _serve(self) -> None:
        while (waiting := self._jobs.get()) is not None:
            job, future = waiting
            self._room.acquire()
            with self._lock:
                if self._closed:
                    return
                if not future.set_running_or_notify_cancel():
                    self._room.release()
                    continue
                task = self._submit(job)
                self._running.add(task)
            task.future().add_done_callback(functools.partial(self._end, task, future))

    def _end(self, task: Any, future: Future, done: Future) -> None:
        with self._lock:
            self._running.discard(task)
        self._room.release()
        error = done.exception()
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(_reason(self._ray.exceptions, error))


def _reason(kinds: Any, error: BaseException) -> BaseException:
    """Return the exception of a task that did not return: its own, or WorkerDied."""
    if isinstance(error, kinds.RayTaskError):
        return error.cause
    if isinstance(error, kinds.TaskCancelledError):
        return WorkerDied("stopped")
    return WorkerDied(f"its process died: {first_sentence(error)}")
