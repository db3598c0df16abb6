"""Executors of a sweep's jobs, in the style of `concurrent.futures`.

A factory takes the sweep's folder and the keywords of `launch.executor.kwargs`, and raises ValueError for invalid ones,
or, where its library is missing, with the `pip install` that brings it. Name your own as "package.module:factory".
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Protocol

from rnngen.sweep.executors.local import local
from rnngen.sweep.executors.ray_tasks import ray
from rnngen.sweep.executors.slurm import slurm
from rnngen.sweep.job import Job


class Executor(Protocol):
    """An executor of jobs.

    Attributes:
      slots: the number of jobs at once, so that a search knows how many proposals to make.
      lasting: jobs go on when this process ends, and the same command finds them again.
      accelerated: a worker has a GPU, which can train many small trials together.
    """

    slots: int
    lasting: bool
    accelerated: bool

    def submit(self, jobs: Sequence[Job]) -> list[Future]:
        """Submit jobs; the future of each ends when its trials have results, or raises WorkerDied.

        Args:
          jobs: to be run.

        Returns:
          A future a job.
        """

    def shutdown(self) -> None:
        """End jobs that are not lasting at once; trials without a result stay unfinished. May be called twice."""


EXECUTORS: dict[str, Callable[..., Executor]] = {"local": local, "ray": ray, "slurm": slurm}
