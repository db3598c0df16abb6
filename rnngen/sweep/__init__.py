"""Sweeps: a space of trials, run in worker processes, on a cluster, or many in one program.

The words of a config file, `axis`, `product` and so on, are here; `run` runs a sweep from Python, and
`rnngen.sweep.driver` is the driver.
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
    """Train all trials of a sweep, or those that are left, and return the sweep.

    Args:
      config: what the trials change: a `base_config`, or the same as a dict.
      space: the trials, made by `axis`, `product`, `zipped` and `chain`, or a `search`.
      folder: gets the records.
      workers: processes; 0: one a core.
      executor: "local", "ray", "slurm", or one of one's own.
      retry_failed: train failed trials again.

    Raises:
      ConfigError: a trial cannot be built, or the folder holds another sweep.
    """
    # Here, since a config file that says `axis` needs none of it.
    from pathlib import Path

    from rnngen import runtime
    from rnngen.config import complete
    from rnngen.runs import open_sweep
    from rnngen.runs.train import check_writable
    from rnngen.storage import locks, preemption
    from rnngen.sweep.campaign import begin
    from rnngen.sweep.launch import complete_launch, resolve_launch
    from rnngen.sweep.progress import Progress

    launch = complete_launch({"executor": {"name": executor}})
    base, resolved, path = complete(config), resolve_launch(launch, workers), Path(folder).expanduser()
    runtime.start(training=True)
    check_writable(path)
    with preemption.listening(grace=preemption.GRACE + 8), locks.hold(path):
        campaign = begin(path, base, space, resolved, retry_failed)
        with Progress(campaign) as shown:
            campaign.run(shown.over)
    return open_sweep(path)
