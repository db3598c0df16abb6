"""A job, one trial or several trained together, and its execution by a worker."""

import contextlib
import errno
import os
import sys
import traceback
from collections.abc import Iterator
from typing import NamedTuple

from rnngen.storage import locks, preemption
from rnngen.storage.folder import RunFolder


class Job(NamedTuple):
    """A job as plain values, which can be sent to any process or machine.

    Attributes:
      key: jobs with the same key compile the same programs.
      configs: the resolved config of each trial.
      folders: the run folder of each trial, on a file system that driver and worker share.
      exact: trials that are trained together must give the same bits as alone.
      log: names of trackers, see `rnngen.storage.trackers`.
    """

    key: str
    configs: tuple[dict, ...]
    folders: tuple[str, ...]
    exact: bool = False
    log: tuple[str, ...] = ()


class WorkerDied(Exception):  # noqa: N818, not an error of the program but of the machine below it
    """The process or machine that had a job is gone; the message says how."""


class FatalJobError(Exception):
    """No job can run, or write its results, through no fault of a trial; the message says why."""


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
# Seconds that a process whose driver is gone may still hold a trial's folder: it stops at its next row, or is ended.
PATIENCE = preemption.GRACE + 10


def perform(job: Job) -> None:
    """Run the trials of a job in this process; one that raises is recorded as failed, with the reason."""
    from rnngen.config import RunConfig
    from rnngen.runs.train import run_pack  # here, so that this module imports fast

    run_pack(
        [RunConfig.from_dict(config) for config in job.configs],
        job.folders,
        fail,
        job.exact,
        job.log,
        PATIENCE,
        locks.LEAST,
    )


def perform_logged(job: Job) -> None:
    """Do `perform`, with the output of this process in `log.txt` in the folder of the job's first trial.

    Raises FatalJobError where nothing can be written.
    """
    try:
        os.makedirs(job.folders[0], exist_ok=True)
        with output_to(os.path.join(job.folders[0], "log.txt")):
            perform(job)
    except OSError as error:
        raise FatalJobError(str(error)) from error


@contextlib.contextmanager
def output_to(path: str) -> Iterator[None]:
    """Append what this process prints, from any language, to a file, within the block."""
    with open(path, "a", encoding="utf-8") as log:
        _flush()
        before = {stream: os.dup(stream) for stream in (1, 2)}
        try:
            for stream in before:
                os.dup2(log.fileno(), stream)
            yield
        finally:
            _flush()
            for stream, copy in before.items():
                os.dup2(copy, stream)
                os.close(copy)


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


def fail(folder: str | os.PathLike, error: BaseException) -> None:
    """Record a trial as failed. Raises FatalJobError where the failure is not the trial's."""
    if isinstance(error, locks.HeldError) or (isinstance(error, OSError) and error.errno in FULL):
        raise FatalJobError(str(error)) from error
    run = RunFolder(folder)
    run.path.mkdir(parents=True, exist_ok=True)
    if isinstance(error, WorkerDied):
        run.finish({"status": "failed", "reason": str(error)})
        return
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    run.finish({"status": "failed", "reason": reason, "traceback": "".join(traceback.format_exception(error))})
