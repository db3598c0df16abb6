"""Sweeps: a space of trials, run in worker processes, on a cluster, or many in one program.

A config file builds the space from `axis`, `product` and so on; `run` runs a sweep from Python.
"""

import os
from collections.abc import Sequence
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
    log: Sequence[str] = (),
    progress: bool = True,
) -> "Sweep":
    """Train all trials of a sweep, or the remaining ones, and return the sweep.

    The same call continues a sweep that was stopped, as `rnngen.train` continues a run. With more trials of the same
    base config it adds the missing ones; those that the folder has and the space has not stay there, and
    `rnngen.open(folder, all=True)` shows them.

    Args:
      config: the base config of all trials: a `base_config`, the same as a dict, or a name for `rnngen.config.load`.
      space: the trials, made by `axis`, `product`, `zipped` and `chain`, or a `search`; None: what `get_sweep()` of the
        named config returns.
      folder: gets the records.
      workers: number of processes; 0: one per core.
      executor: "local", "ray", "slurm", or "package.module:factory".
      retry_failed: train failed trials again.
      log: names of trackers that get each row too.
      progress: show a progress bar on a terminal or in a notebook; elsewhere there is none.

    Returns:
      The sweep, opened.

    Raises:
      ConfigError: a trial cannot be built, or the folder holds a sweep of another base config.
      Preempted: a KeyboardInterrupt: the sweep was stopped, and its trials have saved their states.
    """
    # Imported here, since a config file that uses `axis` needs none of it.
    from pathlib import Path

    from rnngen import runtime
    from rnngen.config import complete
    from rnngen.config.files import open_config, space_of
    from rnngen.runs import open_sweep
    from rnngen.storage import preemption
    from rnngen.sweep.campaign import held
    from rnngen.sweep.launch import resolve_launch
    from rnngen.sweep.progress import Progress

    if isinstance(config, str | os.PathLike):
        name, (config, module) = os.fspath(config), open_config(config)
        space = space_of(name, module) if space is None else space
    base, path = complete(config), Path(folder).expanduser()
    launch = resolve_launch({"executor": {"name": executor}, "log": ",".join(log)}, workers)
    runtime.start(training=True)
    try:
        with held(path, base, space, launch, own=False, retry_failed=retry_failed) as campaign:
            with Progress(campaign, progress, lines=False) as shown:
                campaign.run(shown.over)
    except preemption.Preempted as stopped:
        raise stopped.with_traceback(None) from None  # which ran through the driver
    return open_sweep(path)
