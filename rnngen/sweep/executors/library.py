"""What the executors that stand on another library share."""

import importlib
import os
import sys
from typing import Any

from rnngen import runtime
from rnngen.sweep.job import Job, perform_logged


def optional(name: str, extra: str) -> Any:
    """Import a library that an extra brings. Raises ValueError saying how to get it."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in (name, None):  # it is there, but something that it needs is not
            raise ValueError(f"{name} cannot be imported: {error}") from error
        raise ValueError(f"{name} is not installed: pip install 'rnngen[{extra}]'") from error


def import_path() -> list[str]:
    """Where this process finds modules, so that a worker finds the user's own."""
    return [os.path.abspath(place) for place in sys.path]


def perform_as_guest(job: Job, path: list[str], devices: int, gpu: str | None = None) -> None:
    """Do a job in a process that the library has started, keeps, and may use again. See `runtime.prepare_worker`."""
    sys.path.extend(place for place in path if place not in sys.path)
    runtime.prepare_worker([], devices, gpu)
    perform_logged(job)
