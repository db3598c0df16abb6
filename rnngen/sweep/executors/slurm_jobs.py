"""The code that runs in a job of SLURM, and the state of a submitted job."""

import dataclasses
import os
import subprocess
from pathlib import Path
from typing import Any

from rnngen.sweep.executors.library import perform_as_guest
from rnngen.sweep.job import Job

# States of sacct in which a job has ended.
_FINAL = {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"}
_FINAL |= {"OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"}


@dataclasses.dataclass(frozen=True)
class Task:
    """A job as submitit takes it. path: the import path; see `runtime.prepare_worker` for the others."""

    job: Job
    path: list[str]
    devices: int
    gpu: str | None

    def __call__(self) -> None:
        """Do the job. When time is up, submitit ends it from within a signal handler."""
        try:
            perform_as_guest(self.job, self.path, self.devices, self.gpu)
        except SystemExit as ended:
            # At once: after an interrupted save, threads of Orbax would wait for minutes.
            os._exit(ended.code & 0xFF if isinstance(ended.code, int) else 1)

    def checkpoint(self) -> Any:
        """Requeue the same job when time is up: each trial goes on from its own checkpoint."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def how_ended(submitted: Any) -> str:
    """Return how a job of submitit ended, or "" while it may still run, as far as is known without asking SLURM."""
    here = hasattr(submitted, "_process")  # of the cluster "local"
    if here and _runs_here(submitted):
        return ""
    if submitted.paths.result_pickle.exists():
        return _last_words(submitted.paths.stderr)  # the pickle itself is not read
    if here:
        return "FAILED"
    words = submitted.watcher.get_state(submitted.job_id, mode="cache").split()  # as in CANCELLED by 1000
    return words[0] if words and words[0] in _FINAL else ""


def _last_words(errors: Path) -> str:
    """Say that a job is over, with its last line of output."""
    try:
        lines = errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return "over" + (f", and said last: {lines[-1].strip()}" if lines else "")


def _runs_here(submitted: Any) -> bool:
    state = submitted.get_info()["jobState"]
    if not state.startswith("NO PROCESS"):
        return state == "RUNNING"
    # Not a child of this process. The id may be another process's by now, and a dead one has no arguments.
    command = ["ps", "-o", "args=", "-p", submitted.job_id]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return str(submitted.paths.folder.parent) in listed
