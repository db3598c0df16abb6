"""Where the jobs of a sweep run. An executor is shaped like those of `concurrent.futures`.

A factory takes the sweep's folder and then what its config says (`launch.executor.kwargs`), and refuses what cannot
be with a ValueError; one whose library is missing refuses with the `pip install` that brings it. Add one of your own
as "package.module:factory".
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Protocol

from rnngen.sweep.executors.local import local
from rnngen.sweep.executors.ray_tasks import ray
from rnngen.sweep.executors.slurm import slurm
from rnngen.sweep.job import Job


class Executor(Protocol):
    """Runs jobs.

    slots: how many at once, so that a driver that searches knows how far to think ahead.
    lasting: whether jobs go on when this process ends, and the same command finds them again.
    accelerated: whether a worker has a GPU, which takes many small trials at once.
    """

    slots: int
    lasting: bool
    accelerated: bool

    def submit(self, jobs: Sequence[Job]) -> list[Future]:
        """Take jobs; the future of each ends when its trials have results, or raises WorkerDied."""

    def shutdown(self) -> None:
        """End at once what is not lasting; trials without a result stay unfinished. May be called twice."""


EXECUTORS: dict[str, Callable[..., Executor]] = {"local": local, "ray": ray, "slurm": slurm}
