"""Configs by name: those that come with rnngen, Python files of one's own, and the folders of runs."""

import os
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from rnngen.config.check import ConfigError, call, load_module
from rnngen.config.stored import check_trust
from rnngen.registry import nearest
from rnngen.storage.folder import RunFolder

FOLDER = Path(__file__).parents[1] / "configs"
OURS, SWEEPS = "rnngen:", "sweeps/"


class OpenConfig(NamedTuple):
    """A config, and the module that made it, None for that of a run's folder."""

    config: ConfigDict
    module: ModuleType | None


def load(name: str | os.PathLike, trust: bool = False) -> ConfigDict:
    """Load a config by name.

    Args:
      name: a shipped config such as "adding" or "sweeps/demo" (`rnngen list configs` shows them), a Python file with
        `get_config()`, or the folder of a run, whose config it is.
      trust: import the modules that a run's config names, also where another user made the folder.

    Returns:
      The config, to be changed and trained.

    Raises:
      ConfigError: there is none of this name, or a shipped one and a file; or the file fails.
    """
    return open_config(name, trust).config


def shipped(name: str) -> ModuleType:
    """Load a shipped config as a module, for configs that build on its functions.

    Args:
      name: such as "sweeps/demo".

    Returns:
      The module, with its `get_config` and whatever else it has.

    Raises:
      ConfigError: there is none of this name.
    """
    return load_module(str(find_config(f"{OURS}{name}")))


def shipped_files() -> dict[str, Path]:
    """List the shipped configs.

    Returns:
      Each file by its name: `adding`, `sweeps/demo`.
    """
    found = [*sorted(FOLDER.glob("*.py")), *sorted(FOLDER.glob(f"{SWEEPS}*.py"))]
    return {path.relative_to(FOLDER).with_suffix("").as_posix(): path for path in found}


def open_config(name: str | os.PathLike, trust: bool = False) -> OpenConfig:
    """Load a config and its module; see `load`."""
    text = os.fspath(name)
    path = find_config(text)
    if path.is_dir():
        stored = RunFolder(path).config() or {}
        check_trust(path, stored, trust)
        return OpenConfig(ConfigDict(stored), None)
    module = load_module(str(path))
    config = call(str(path), module, "get_config")
    if not isinstance(config, ConfigDict):
        raise ConfigError(f"{text}: get_config() must return a ConfigDict, got {type(config).__name__}")
    return OpenConfig(config, module)


def find_config(text: str) -> Path:
    """Find what a name means: a shipped config, a file here, or the folder of a run.

    `./adding.py`, or any name that ends in .py, is a file; `rnngen:adding` is shipped.

    Raises:
      ConfigError: there is none of this name, or a shipped one and one here.
    """
    ours = _shipped_file(text.removeprefix(OURS))
    here = None if text.startswith(OURS) else _here(Path(text).expanduser())
    if text.endswith(".py") or text.startswith((".", "~", "/")):
        ours = None
    if ours is not None and here is not None and not here.samefile(ours):
        shown = here if here.is_absolute() else f"./{here}"
        raise ConfigError(f"{text}: is a shipped config, and {here} is here too: say {shown} or {OURS}{_name_of(ours)}")
    if (found := ours or here) is None:
        kind = "config file" if text.endswith(".py") else "config"
        raise ConfigError(f"{text.removeprefix(OURS)}: no such {kind}{_hint(text)}")
    return found


def _shipped_file(name: str) -> Path | None:
    """Return the shipped config of a name, which for a sweep may leave out its folder."""
    known = shipped_files()
    return known.get(name) or known.get(f"{SWEEPS}{name}")


def _here(path: Path) -> Path | None:
    """Return the config file of this path, also without its ending, or the folder of the run that it names."""
    if path.name == "config.json" and path.is_file():
        return path.parent
    if (path / "config.json").is_file() or path.is_file():
        return path
    beside = path.with_name(f"{path.name}.py") if path.name else path
    return beside if beside.is_file() else None


def _name_of(file: Path) -> str:
    return file.relative_to(FOLDER).with_suffix("").as_posix()


def _hint(text: str) -> str:
    """Return what was meant, perhaps: what a folder holds, or the nearest name."""
    path = Path(text.removeprefix(OURS)).expanduser()
    if (path / "sweep.json").is_file():
        return f"; it holds a sweep: give one of its trials, {path}/trials/..."
    if text.endswith(".py") and (ours := _shipped_file(path.stem)):
        return f"; the shipped config is called {_name_of(ours)!r}"
    files = [str(file) for file in path.parent.glob("*.py")] if path.parent.is_dir() else []
    return nearest(text.removeprefix(OURS), files if text.endswith(".py") else [*files, *shipped_files()])


def space_of(name: str, module: ModuleType | None) -> Any:
    """Return what a config's `get_sweep()` returns; raise ConfigError where it has none."""
    if module is None:
        raise ConfigError(f"{name}: is the config of a run, and a sweep needs a file with get_sweep()")
    if not hasattr(module, "get_sweep") and f"{SWEEPS}{name}" in shipped_files():
        raise ConfigError(f"{name}: has no get_sweep(); did you mean '{SWEEPS}{name}'?")
    return call(str(find_config(name)), module, "get_sweep")
