"""How a sweep is run, apart from what it trains: where its jobs run, and how many trials make one program.

A sweep's file may have `get_launch()`; any key can be set as `--launch.KEY=VALUE`. None of it is in a trial's config,
so the same trials can be started on a laptop and finished on a cluster.
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
    """Every key that a launch may have, with its default."""
    return ConfigDict(
        {
            "executor": component("local"),
            "pack": "auto",  # trials trained by one program: "off", a number, or "auto": as the device has it faster
            "exact": False,  # only packs that give each trial the bits that it has alone
            "log": "",  # where rows go beside the run folders: "tensorboard", "package.module:factory", or both
        }
    )


def complete_launch(launch: ConfigDict | Mapping | None) -> ConfigDict:
    """The launch with every key of `base_launch` in it. Raises ConfigError naming the key and the nearest right one."""
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
    """The launch as plain values with every key in it, checked. workers: above 0, overrules the executor's.

    Raises ConfigError naming the key and the nearest right one.
    """
    resolved = _merged(launch)
    part = resolved["executor"]
    with error_at("launch.executor.name"):
        factory = find(EXECUTORS, part["name"], "executor")
    kwargs = part["kwargs"] | ({"workers": workers} if workers else {})
    part["kwargs"] = check_kwargs("launch.executor.kwargs", part["name"], factory, kwargs, ("folder",))
    names = tuple(filter(None, resolved["log"].split(",")))
    with error_at("launch.log"):
        trackers.check(names)
    return resolved | {"log": names}


def make_executor(launch: dict, folder: Path) -> Executor:
    """The executor of a resolved launch. Raises ConfigError where it refuses its arguments, or its extra is missing."""
    part = launch["executor"]
    factory = find(EXECUTORS, part["name"], "executor")
    with error_at("launch.executor"):
        return factory(folder, **part["kwargs"])
