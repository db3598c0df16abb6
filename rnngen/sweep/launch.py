"""The launch settings of a sweep: the executor of its jobs, and how many trials are trained together.

A sweep's file may define `get_launch()`; any key can be set as `--launch.KEY=VALUE`. They are not part of a trial's
config, so the same trials can be started on a laptop and finished on a cluster.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from rnngen.config import component, plain
from rnngen.config.check import ConfigError, check_kwargs, error_at, merge
from rnngen.registry import find
from rnngen.storage import trackers
from rnngen.sweep.executors import EXECUTORS, Executor


def base_launch() -> ConfigDict:
    """Return every key of a launch with its default."""
    return ConfigDict(
        {
            "executor": component("local"),
            "pack": "auto",  # trials trained together: "off", a number, or "auto": whatever is faster on the device
            "exact": False,  # only packs that give each trial the same bits as alone
            "log": "",  # where rows go beside the run folders: "tensorboard", "package.module:factory", or both
        }
    )


def complete_launch(launch: ConfigDict | Mapping | None) -> ConfigDict:
    """Complete the launch by the keys of `base_launch`. Raises ConfigError naming a wrong key and the nearest one."""
    return ConfigDict(_merged(launch))


def _merged(launch: ConfigDict | Mapping | None) -> dict[str, Any]:
    given = plain(launch or {}, "launch")
    if not isinstance(given, dict):
        raise ConfigError(f"launch: must be a mapping, got {given!r}")
    pack = str(given.pop("pack", "auto"))
    if pack not in ("auto", "off") and not (pack.isdecimal() and int(pack) > 0):
        raise ConfigError(f"launch.pack: must be auto, off or a positive number, got {pack!r}")
    return merge(base_launch().to_dict(), given, "launch") | {"pack": pack}


def resolve_launch(launch: ConfigDict | Mapping | None, workers: int = 0) -> dict[str, Any]:
    """Complete and check the launch, as plain values. workers: above 0, overrides the executor's.

    Raises ConfigError naming a wrong key and the nearest right one.
    """
    resolved = _merged(launch)
    part = resolved["executor"]
    with error_at("launch.executor.name"):
        factory = find(EXECUTORS, part["name"], "executor")
    kwargs = part["kwargs"] | ({"workers": workers} if workers else {})
    part["kwargs"] = check_kwargs("launch.executor.kwargs", part["name"], factory, kwargs, ("folder",))
    names = tuple(filter(None, map(str.strip, resolved["log"].split(","))))
    with error_at("launch.log"):
        trackers.check(names)
    return resolved | {"log": names}


def make_executor(launch: dict, folder: Path) -> Executor:
    """Make the executor of a resolved launch. Raises ConfigError for wrong arguments or a missing extra."""
    part = launch["executor"]
    factory = find(EXECUTORS, part["name"], "executor")
    with error_at("launch.executor"):
        return factory(folder, **part["kwargs"])
