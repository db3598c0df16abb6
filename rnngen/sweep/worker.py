"""A worker: one spawned process that trains one trial after another, on cores of its own.

Spawned and never forked, since a forked JAX deadlocks. The process is kept from trial to trial, so that
imports are paid once; when it dies, only the trial that it had is lost, and the next gets a new one.
"""

import multiprocessing
import os
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from typing import Any

from rnngen.records import RunFolder


class Worker:
    """The driver's end. `run` blocks until the trial is over; `stop` may be called from another thread."""

    def __init__(self, cores: list[int], devices: int, cache: str):
        self._given = cores, devices, cache
        self._process: Any = None
        self._pipe: Any = None
        self._stopped = False

    def run(self, config: dict, folder: RunFolder) -> None:
        """Train a resolved config in `folder`; a death of the process is recorded there as a failure."""
        if self._stopped:
            return
        if self._process is None:
            self._process, self._pipe = self._start()
        process, pipe = self._process, self._pipe
        try:
            pipe.send((config, os.fspath(folder.path)))
            pipe.recv()
        except (EOFError, OSError):
            process.join()
            self._process = None
            if not self._stopped:
                fail(folder, f"its process died: {_cause(process.exitcode)}")

    def stop(self) -> None:
        """End the process at once."""
        self._stopped = True
        if self._process is not None:
            self._process.terminate()
            self._process.join()

    def _start(self) -> tuple[Any, Any]:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, *self._given), daemon=True)
        process.start()
        theirs.close()  # or the death of the process would not close the pipe
        return process, ours


def _cause(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        return f"killed by {signal.Signals(-exitcode).name}"
    return f"exit status {exitcode}"


def fail(folder: RunFolder, reason: str, **details: str) -> None:
    """Record a trial as failed."""
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.finish({"status": "failed", "reason": reason, **details})


def _serve(pipe: Connection, cores: list[int], devices: int, cache: str) -> None:
    """The worker's end: trials come in, a token goes back for each."""
    import jax

    from rnngen import process

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's business
    if cores:
        # Before JAX starts, since XLA sizes its thread pools once.
        os.sched_setaffinity(0, cores)
    process.prepare(devices)
    # Workers may share a GPU, so none takes most of its memory at once.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    # Trials that differ in their seed are the same programs: compiled by one worker, loaded by all.
    jax.config.update("jax_compilation_cache_dir", cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    while True:
        try:
            config, path = pipe.recv()
        except EOFError:
            return
        _train(config, RunFolder(path))
        pipe.send(None)


def _train(config: dict, folder: RunFolder) -> None:
    from rnngen.run import run  # here, so that the driver's end of this module stays light

    folder.path.mkdir(parents=True, exist_ok=True)
    with open(folder.path / "log.txt", "a", encoding="utf-8") as log:
        sys.stdout.flush()
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
        try:
            run(config, folder.path)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            fail(folder, reason, traceback=traceback.format_exc())
