"""Sweeps: a space of trials, run in worker processes, on a cluster, or many in one program.

A config file builds the space from `axis`, `product` and so on; `run` runs a sweep from Python.
"""

import os
from typing import TYPE_CHECKING, Any

from rnngen.sweep.ranges import choice, integers, loguniform, search, uniform
from rnngen.sweep.space import axis, chain, product, zipped

if TYPE_CHECKING:
    from rnngen.runs.sweep import Sweep

__all__ = ["axis", "chain", "choice", "integers", "loguniform", "product", "run", "search", "uniform", "zipped"]


def run(
    config: Any,
    space: Any,
    folder: str | os.PathLike,
    *,
    workers: int = 0,
    executor: str = "local",
    retry_failed: bool = False,
) -> "Sweep":
    """Train all trials of a sweep, or the remaining ones, and return the sweep.

    Args:
      config: the base config of all trials: a `base_config`, or the same as a dict.
      space: the trials, made by `axis`, `product`, `zipped` and `chain`, or a `search`.
      folder: gets the records.
      workers: number of processes; 0: one per core.
      executor: "local", "ray", "slurm", or "package.module:factory".
      retry_failed: train failed trials again.

    Raises:
      ConfigError: a trial cannot be built, or the folder holds another sweep.
    """
    # Imported here, since a config file that uses `axis` needs none of it.
    from pathlib import Path

    from rnngen import runtime
    from rnngen.config import complete
    from rnngen.runs import open_sweep
    from rnngen.sweep.campaign import held
    from rnngen.sweep.launch import resolve_launch
    from rnngen.sweep.progress import Progress

    base, path = complete(config), Path(folder).expanduser()
    launch = resolve_launch({"executor": {"name": executor}}, workers)
    runtime.start(training=True)
    with held(path, base, space, launch, retry_failed=retry_failed) as campaign, Progress(campaign) as shown:
        campaign.run(shown.over)
    return open_sweep(path)
