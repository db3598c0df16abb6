"""What runs in a job of SLURM, and what is known from outside of one that was submitted."""

import dataclasses
import os
import subprocess
from pathlib import Path
from typing import Any

from rnngen.sweep.executors.library import perform_as_guest
from rnngen.sweep.job import Job

# Of the states that sacct tells, those in which a job does not run any more.
_FINAL = {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"}
_FINAL |= {"OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"}


@dataclasses.dataclass(frozen=True)
class Task:
    """A job as submitit takes it. path: where modules are found; see `process.prepare_worker` for the others."""

    job: Job
    path: list[str]
    devices: int
    gpu: str | None

    def __call__(self) -> None:
        """Do the job. Where time is up, submitit ends it from within a signal."""
        try:
            perform_as_guest(self.job, self.path, self.devices, self.gpu)
        except SystemExit as ended:
            # At once: a save that the signal cut short leaves threads of Orbax that wait minutes for the rest of it.
            os._exit(ended.code & 0xFF if isinstance(ended.code, int) else 1)

    def checkpoint(self) -> Any:
        """What goes back to the queue when time is up: the same, since each trial goes on from its own checkpoint."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def how_ended(submitted: Any) -> str:
    """How a job of submitit ended; "" while it may still do something, as far as is known without asking SLURM."""
    here = hasattr(submitted, "_process")  # of the cluster "local"
    if here and _runs_here(submitted):
        return ""
    if submitted.paths.result_pickle.exists():
        return _last_words(submitted.paths.stderr)  # the pickle itself is not looked into
    if here:
        return "FAILED"
    words = submitted.watcher.get_state(submitted.job_id, mode="cache").split()  # as in CANCELLED by 1000
    return words[0] if words and words[0] in _FINAL else ""


def _last_words(errors: Path) -> str:
    """That a job is over, and what it said last."""
    try:
        lines = errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return "over" + (f", and said last: {lines[-1].strip()}" if lines else "")


def _runs_here(submitted: Any) -> bool:
    state = submitted.get_info()["jobState"]
    if not state.startswith("NO PROCESS"):
        return state == "RUNNING"
    # Not a child of this process. The number may be another's by now, and a dead one's arguments are gone.
    command = ["ps", "-o", "args=", "-p", submitted.job_id]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return str(submitted.paths.folder.parent) in listed
