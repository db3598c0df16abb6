"""Runs and sweeps, opened once from a folder or an export; `runs.train` trains them."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from rnngen.runs.export import EXPORT, read_folder
from rnngen.runs.run import Run
from rnngen.storage.folder import TABLES

if TYPE_CHECKING:
    import pandas as pd

    from rnngen.runs.sweep import Sweep

__all__ = ["EXPORT", "Run", "load", "open_folder", "open_sweep", "record_folders"]


def open_folder(folder: str | os.PathLike, *, all: bool = False) -> "Run | Sweep":
    """Open the records of a folder.

    Args:
      folder: of a run, a sweep or an export.
      all: with the trials that the sweep's command, as it was last given, leaves out.

    Returns:
      Of a run's records a Run, of a sweep's a Sweep, of an export what was exported.

    Raises:
      FileNotFoundError: the folder holds none of these.
      DamagedFile: a file was not written by rnngen.
    """
    sweep = open_sweep(folder, all=all)
    return sweep if sweep.plan else sweep.runs[0]


def open_sweep(folder: str | os.PathLike, *, all: bool = False) -> "Sweep":
    """Open a folder as a Sweep, also where it holds one run.

    Args:
      folder: of a run, a sweep or an export.
      all: see `open_folder`.

    Returns:
      The sweep; of a single run a sweep of one.

    Raises:
      FileNotFoundError: the folder holds none of these.
    """
    from rnngen.runs.sweep import Sweep  # here, since loading pandas takes as long as a small run's start

    path = Path(folder).expanduser()
    plan, found = read_folder(path, all)
    return Sweep(path, plan, [Run(one) for one in found])


def record_folders(folder: str | os.PathLike) -> list[Path]:
    """List the folders of records to report on.

    Args:
      folder: of a run or a sweep, or one of exports.

    Returns:
      The folder itself; of exports also the folders within that hold one.

    Raises:
      FileNotFoundError: there are none.
    """
    folder = Path(folder).expanduser()
    if any((folder / name).exists() for name in ("config.json", "sweep.json")):
        return [folder]
    found = [path for path in (folder, *sorted(folder.glob("*"))) if (path / EXPORT).exists()]
    if not found:
        neither = f"{folder} holds neither a run (config.json) nor a sweep (sweep.json)"
        raise FileNotFoundError(f"{neither}, nor exported records ({EXPORT}), and no folder in it holds these")
    return found


def load(folder: str | os.PathLike, table: str = "metrics") -> "pd.DataFrame":
    """Read the records of a run's or a sweep's folder, one row a record.

    Args:
      folder: of a run, a sweep or an export.
      table: "metrics", "diagnoses", "provenance", or "results", which has one row a run. Every row has its run's folder
        name as `trial` and its config as columns `config.task.name` and so on. Where an axis of the sweep has labels,
        `axis("optim.clip_norm", {"clipped": 1.0, ...})`, they are the column `label.optim.clip_norm`.

    Returns:
      A DataFrame.

    Raises:
      FileNotFoundError: `folder` holds neither a run nor a sweep.
      ValueError: the table is unknown.
      DamagedFile: a file was not written by rnngen.
    """
    if table not in ("results", *TABLES):
        raise ValueError(f"table must be one of results, {', '.join(TABLES)}, got {table!r}")
    return getattr(open_sweep(folder), table)
