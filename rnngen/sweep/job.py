"""A job: one trial, or several that are trained as one program, and what a worker does with it."""

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
    """What an executor is given: plain values, so that any process or machine can take it.

    key: jobs of one key compile the same programs. configs, folders: a resolved config and a run folder a trial;
    the folders are seen by driver and worker alike. exact: several trials are to give the bits that each gives alone.
    log: names of sinks, see `rnngen.storage.trackers`.
    """

    key: str
    configs: tuple[dict, ...]
    folders: tuple[str, ...]
    exact: bool = False
    log: tuple[str, ...] = ()


class WorkerDied(Exception):  # noqa: N818, not an error of the program but of the machine below it
    """The process or machine that had a job is gone; the message says how."""


class FatalJobError(Exception):
    """No job can run, or none can write what came of it; the message says why. No trial is to blame."""


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
# Seconds that a trial's folder may still be a process's whose driver is gone: it stops at its next row, or is ended.
PATIENCE = preemption.GRACE + 10


def perform(job: Job) -> None:
    """Run a job's trials to their end in this process; one that raises is recorded as failed, with its reason."""
    from rnngen.config import RunConfig
    from rnngen.runs.train import run_pack  # here, so that the driver's end of this module stays light

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
    """`perform`, with what this process prints going to `log.txt` in the folder of the job's first trial.

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
    """Add what this process prints, from any language, to a file, and afterwards print to where it did before."""
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
    """Record a trial as failed. Raises FatalJobError where that is not its own doing."""
    if isinstance(error, locks.HeldError) or (isinstance(error, OSError) and error.errno in FULL):
        raise FatalJobError(str(error)) from error
    run = RunFolder(folder)
    run.path.mkdir(parents=True, exist_ok=True)
    if isinstance(error, WorkerDied):
        run.finish({"status": "failed", "reason": str(error)})
        return
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    run.finish({"status": "failed", "reason": reason, "traceback": "".join(traceback.format_exception(error))})
