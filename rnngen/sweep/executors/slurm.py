"""Jobs of SLURM, through submitit. See `slurm_queue` for its files in the sweep's folder."""

import functools
import shutil
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from rnngen.sweep.executors import slurm_queue
from rnngen.sweep.executors.library import import_path, optional
from rnngen.sweep.executors.slurm_jobs import Task
from rnngen.sweep.job import Job, perform


def slurm(
    folder: Path,
    workers: int = 0,
    partition: str = "",
    account: str = "",
    minutes: int = 60,
    memory_gb: float = 4.0,
    cpus: int = 1,
    gpus: int = 0,
    setup: tuple = (),
    requeues: int = 3,
    cluster: str = "slurm",
) -> "slurm_queue.SlurmQueue | InThisProcess":
    """Run jobs in SLURM; jobs that are submitted together are one job array.

    Args:
      folder: of the sweep.
      workers: jobs of an array at once; 0: no limit.
      partition: "" for the user's default.
      account: "" for the user's default.
      minutes: time limit of a job.
      memory_gb: memory of a job.
      cpus: of a job.
      gpus: of a job.
      setup: lines of shell to run before Python.
      requeues: how often a job that meets its time limit is requeued, to go on from its last checkpoint.
      cluster: "slurm", or for trying out "local" (processes here, all at once) or "debug" (this process, one by one).

    Returns:
      The executor.

    Raises:
      ValueError: submitit is not installed, or there is no SLURM.
    """
    _check_numbers(workers=workers, gpus=gpus, requeues=requeues)
    _check_numbers(1, minutes=minutes, cpus=cpus)
    submitit = optional("submitit", "slurm")
    if cluster not in ("slurm", "local", "debug"):
        raise ValueError(f"cluster must be slurm, local or debug, got {cluster!r}")
    missing = [command for command in ("sbatch", "srun") if cluster == "slurm" and shutil.which(command) is None]
    if missing:
        raise ValueError(f"{missing[0]} is not on the PATH: start the sweep on a machine that submits to SLURM")
    executor = submitit.AutoExecutor(
        folder / "slurm" / "%j", cluster=cluster, slurm_max_num_timeout=requeues, local_max_num_timeout=requeues
    )
    executor.update_parameters(
        name="rnngen",
        timeout_min=minutes,
        mem_gb=memory_gb,
        cpus_per_task=cpus,
        gpus_per_node=gpus or None,
        slurm_partition=partition or None,
        slurm_account=account or None,
        slurm_setup=list(setup) or None,
        local_setup=setup or None,
    )
    if cluster == "debug":
        return InThisProcess(executor)
    here = cluster == "local"
    return slurm_queue.SlurmQueue(
        folder / "slurm",
        executor,
        find=submitit.LocalJob if here else submitit.SlurmJob,
        ask=(lambda: None) if here else submitit.SlurmJob.watcher.update,
        task=functools.partial(Task, path=import_path(), devices=cpus, gpu=None if gpus else ""),
        workers=workers,
        accelerated=gpus > 0,
    )


def _check_numbers(least: int = 0, **numbers: int) -> None:
    for name, number in numbers.items():
        if number < least:
            raise ValueError(f"{name} must be at least {least}, got {number}")


class InThisProcess:
    """An executor that does its jobs within `submit`, where a debugger sees them."""

    lasting, accelerated, slots = False, False, 1

    def __init__(self, executor: Any):
        self._executor = executor

    def submit(self, jobs: Sequence[Job]) -> list[Future]:
        """See `Executor`."""
        futures = []
        for job in jobs:
            self._executor.submit(perform, job).result()
            futures.append(Future[None]())
            futures[-1].set_result(None)
        return futures

    def shutdown(self) -> None:
        """Do nothing: no job is running."""
