"""One run: a resolved config and a folder in, a trained model and its records out."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from rnngen.config import build, difference
from rnngen.configcheck import ConfigError
from rnngen.records import TRAINED, RunFolder
from rnngen.train import fit


def run(config: dict, path: str | os.PathLike, on_row: Callable[[dict], Any] = lambda row: None) -> dict:
    """Train what a resolved config describes in the folder `path` and return its result.

    A folder that holds the same run unfinished is gone on with from its last checkpoint; one that holds
    it finished is left as it is. Raises ConfigError, before anything is written, where the config cannot
    be built, or the folder holds another config or cannot be written.
    """
    experiment = build(config)
    folder = RunFolder(path)
    done = claim(folder, config)
    if done is not None and done["status"] in TRAINED:
        return done
    folder.start(config, seed=config["seed"], device=device())
    return fit(experiment, folder, on_row)


def claim(folder: RunFolder, config: dict) -> dict | None:
    """The folder's result if it has one. Raises ConfigError where the folder is another run's or not writable."""
    check_writable(folder.path)
    if (folder.path / "sweep.json").exists():
        raise ConfigError(f"{folder.path}: holds a sweep, not a single run")
    there = folder.config()
    if there is not None and there != config:
        raise ConfigError(f"{folder.path}: holds a run of a different config: {difference(there, config)}")
    return folder.result()


def check_writable(path: Path) -> None:
    """Raise ConfigError unless `path` is a folder that can be written, or can be made."""
    existing = path
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        raise ConfigError(f"{path}: {existing} is not a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ConfigError(f"{path}: {existing} cannot be written")


def device() -> str:
    """The first device, in words, and how many there are."""
    first = jax.devices()[0]
    return f"{first.platform} {first.device_kind} x{jax.device_count()}"
