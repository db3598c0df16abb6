"""Worker processes on this machine, each with its own cores or GPU.

Spawned and never forked, since a forked JAX deadlocks. A process is reused from job to job, to import and compile only
once; when it dies, only its current job is lost, and the next job gets a new process.
"""

import contextlib
import functools
import multiprocessing
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from rnngen import runtime
from rnngen.cells import Cell
from rnngen.engines.fused import ready
from rnngen.storage import preemption
from rnngen.sweep.job import FatalJobError, Job, WorkerDied, perform_logged

# A process is replaced when its memory is so many times that after its first jobs.
GROWN, SETTLING = 1.08, 50


class Slot(NamedTuple):
    """The resources of one worker. devices: number of CPU devices made of its cores; gpu: its number."""

    cores: list[int]
    devices: int
    gpu: str | None = None


def local(folder: Path, workers: int = 0, retries: int = 2) -> "Local":
    """Run jobs in spawned processes on this machine.

    Args:
      folder: of the sweep.
      workers: number of processes; 0: one per GPU, or one per core without GPUs.
      retries: how often a trial whose process died is resumed.

    Returns:
      The executor.

    Raises:
      ValueError: a number is below 0.
    """
    if workers < 0 or retries < 0:
        raise ValueError(f"workers and retries must not be negative, got {workers} and {retries}")
    return Local(share(workers, runtime.cores(), runtime.gpus()), retries)


def share(workers: int, cores: list[int], gpus: list[str]) -> list[Slot]:
    """Divide cores and GPUs among workers (0: one per GPU, or else one per core).

    With fewer cores than workers each may use all cores as one device; with fewer GPUs they are shared.
    """
    workers = workers or len(gpus) or len(cores) or runtime.count_cores()
    mine = [cores] * workers if workers > len(cores) else [cores[i::workers] for i in range(workers)]
    devices = [1] * workers if workers > len(cores) else [len(part) for part in mine]
    gpu = [gpus[i % len(gpus)] if gpus else None for i in range(workers)]
    return [Slot(*each) for each in zip(mine, devices, gpu, strict=True)]


class Local:
    """An executor with one thread per slot, which takes the waiting job that suits its process best."""

    lasting = False

    def __init__(self, slots: list[Slot], retries: int = 0):
        self.slots, self.accelerated = len(slots), any(slot.gpu is not None for slot in slots)
        self._retries = retries
        self._jobs: list[tuple[Job, Future]] = []
        self._held: dict[int, str] = {}  # the key that each slot's process has compiled last
        self._changed = threading.Condition()
        self._closed = False
        self._workers = [Worker(slot) for slot in slots]
        self._threads = [threading.Thread(target=self._serve, args=(i,), daemon=True) for i in range(self.slots)]
        for thread in self._threads:
            thread.start()

    def build_loops(self, cells: Iterable[Cell]) -> None:
        """Build the compiled loops of these cells here, where it is shown, rather than in each worker."""
        for cell in () if self.accelerated else cells:
            ready(cell)

    def submit(self, jobs: Sequence[Job]) -> list[Future]:
        """See `Executor`."""
        futures: list[Future] = [Future() for _ in jobs]
        with self._changed:
            self._jobs += zip(jobs, futures, strict=True)
            self._changed.notify_all()
        return futures

    def shutdown(self) -> None:
        """See `Executor`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for worker in self._workers:
            worker.stop()
        for thread in self._threads:
            thread.join()

    def _serve(self, number: int) -> None:
        worker = self._workers[number]
        while (taken := self._take(number)) is not None:
            job, future = taken
            try:
                self._see_through(worker, job)
            except Exception as error:
                future.set_exception(error)
            else:
                future.set_result(None)

    def _see_through(self, worker: "Worker", job: Job) -> None:
        """Let a worker do a job, again if its process dies; trials of a pack are retried one by one instead."""
        for left in range(self._retries if len(job.folders) == 1 else 0, -1, -1):
            try:
                return worker.run(job)
            except WorkerDied:
                if self._closed or not left:
                    raise
        return None

    def _take(self, number: int) -> tuple[Job, Future] | None:
        with self._changed:
            while not self._closed:
                for place in self._in_order(number):
                    job, future = self._jobs.pop(place)
                    self._held[number] = job.key
                    if future.set_running_or_notify_cancel():
                        return job, future
                    break
                else:
                    self._changed.wait()
        return None

    def _in_order(self, number: int) -> list[int]:
        """Rank the waiting jobs, best first: those this worker has compiled, then those no other worker has."""
        mine, others = self._held.get(number), {key for n, key in self._held.items() if n != number}
        keys = [job.key for job, _ in self._jobs]
        return sorted(range(len(keys)), key=lambda place: (keys[place] != mine, keys[place] in others, place))


class Worker:
    """The driver's end of one process. `run` blocks until a job is over; `stop` may be called from another thread."""

    def __init__(self, slot: Slot):
        self._slot = slot
        self._process: Any = None
        self._pipe: Any = None
        self._stopped, self._fresh = False, True
        self._lock = threading.Lock()

    def run(self, job: Job) -> None:
        """Do a job in the process. Raises WorkerDied where it dies, FatalJobError where any other would fail too."""
        with self._lock:
            if self._stopped:
                raise WorkerDied("stopped")
            if self._process is None:
                self._process, self._pipe = self._start()
                self._fresh = True
            process, pipe = self._process, self._pipe
        try:
            if self._fresh:
                pipe.recv()
        except (EOFError, OSError):
            process.join()
            self._process = None
            if process.exitcode < 0:  # killed from outside, which may not happen again
                raise WorkerDied(f"its process died as it started: {_cause(process.exitcode)}") from None
            raise FatalJobError(
                f"launch.executor: a worker cannot start: {_cause(process.exitcode)}, see above"
            ) from None
        self._fresh = False
        try:
            pipe.send(job)
            trouble, ending = pipe.recv()
        except (EOFError, OSError):
            process.join()
            self._process = None
            raise WorkerDied(f"its process died: {_cause(process.exitcode)}") from None
        if ending:
            process.join()
            self._process = None
        if trouble is not None:
            raise FatalJobError(trouble)

    def stop(self) -> None:
        """Ask the process to save its training and end."""
        with self._lock:
            self._stopped = True
            process = self._process
        if process is not None:
            process.terminate()
            process.join()

    def _start(self) -> tuple[Any, Any]:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._slot), daemon=True)
        resource_tracker.ensure_running()  # else `start` would do it first, and let interrupts through again
        # Closed here, so that the process's death closes the pipe.
        with contextlib.closing(theirs), _without_main(), _without_interrupts():
            process.start()
        return process, ours


def _cause(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        return f"killed by {signal.Signals(-exitcode).name}"
    return f"exit status {exitcode}"


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Block SIGINT in what this thread starts: a terminal sends it to every process, and the driver handles it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_STARTING = threading.Lock()


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Keep a spawned process from running this process's main script again; a notebook has none."""
    main = sys.modules["__main__"]
    with _STARTING:
        held = {name: main.__dict__.pop(name) for name in ("__file__", "__spec__") if name in main.__dict__}
        main.__spec__ = None
        try:
            yield
        finally:
            main.__dict__.update({"__spec__": None} | held)


def _serve(pipe: Connection, slot: Slot) -> None:
    """Run the worker's end: receive jobs, and answer each with (why no job can be done or None, if the process ends).

    A process that has grown ends, and the next job gets a new one. TensorStore, through which Orbax saves, loses some
    ten kilobytes at each save, which ten thousand small trials would feel.
    """

    def talk(say: Callable[[], Any]) -> Any:
        try:
            return say()
        except (EOFError, OSError):
            sys.exit()  # the driver is gone

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver handles it, and what this process starts ignores it too
    driver = multiprocessing.parent_process()
    assert driver is not None  # this one was spawned
    preemption.watch(driver.sentinel, "its driver is gone")
    runtime.prepare_worker(slot.cores, slot.devices, slot.gpu)
    talk(lambda: pipe.send(None))  # it has started
    settled, jobs, ending = 0, 0, False
    while not ending:
        trouble = _perform(talk(pipe.recv))
        jobs, size = jobs + 1, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        settled = size if jobs <= SETTLING else settled
        ending = size > GROWN * settled
        talk(functools.partial(pipe.send, (trouble, ending)))


def _perform(job: Job) -> str | None:
    """Do a job; return the reason if no job can be done. Ends this process if it was asked to stop."""
    trouble = None
    with preemption.listening(interrupts=False):
        try:
            perform_logged(job)
        except FatalJobError as error:
            trouble = str(error)
        except preemption.Preempted:
            pass
    if preemption.asked():  # even where the job was over just then
        sys.exit(preemption.PREEMPTED)
    return trouble
