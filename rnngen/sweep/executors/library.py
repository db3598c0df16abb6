"""Helpers of the executors that use another library."""

import importlib
import os
import sys
from typing import Any

from rnngen import runtime
from rnngen.sweep.job import Job, perform_logged


def optional(name: str, extra: str) -> Any:
    """Import the library of an extra. Raises ValueError saying how to install it."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in (name, None):  # it is installed, but something that it needs is not
            raise ValueError(f"{name} cannot be imported: {error}") from error
        raise ValueError(f"{name} is not installed: pip install 'rnngen[{extra}]'") from error


def import_path() -> list[str]:
    """Return the import path of this process, so that a worker finds the user's modules."""
    return [os.path.abspath(place) for place in sys.path]


def perform_as_guest(job: Job, path: list[str], devices: int, gpu: str | None = None) -> None:
    """Do a job in a process that the library has started and may use again. See `runtime.prepare_worker`."""
    sys.path.extend(place for place in path if place not in sys.path)
    runtime.prepare_worker([], devices, gpu)
    perform_logged(job)
