"""What was run, from the records: how many trials, what they share, versions, machine, hours, dates."""

import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from rnngen.report.columns import Column, number
from rnngen.report.labels import setting_names
from rnngen.report.tables import results, settings
from rnngen.runs.records import PackedRun, runs, sweep
from rnngen.storage.dotted import flatten
from rnngen.storage.folder import RunFolder

STATUSES = ("finished", "diverged", "pruned", "failed", "unfinished")


class Subject(NamedTuple):
    """What a page is about, read once: with thousands of trials most of the time goes into reading.

    name: the folder's. sweep: None for a single run. runs: its trials. axes, names: as `settings` gives them.
    results: a row a trial, as `results` gives them. named: the setting of each trial in words.
    """

    name: str
    sweep: dict | None
    runs: Sequence[RunFolder | PackedRun]
    axes: pd.DataFrame
    names: list[str]
    results: pd.DataFrame
    named: pd.Series


def gather(folder: str | os.PathLike) -> Subject:
    """The subject of the page of a folder. Raises FileNotFoundError where it holds neither a run nor a sweep."""
    name = Path(folder).resolve().name
    return Subject(name, sweep(folder), runs(folder), *settings(folder), results(folder), setting_names(folder))


def shared(subject: Subject) -> list[Column]:
    """The settings that all trials have in common: a column of dotted names, and one of values."""
    config = subject.sweep["config"] if subject.sweep else subject.runs[0].config() or {}
    swept, flat = subject.axes.columns if subject.sweep else (), flatten(config)
    # An override may stand for a whole part, as `cell` does for `cell.name`.
    left = [key for key in flat if not any(key == name or key.startswith(f"{name}.") for name in swept)]
    values = [str(flat[key]) for key in left]
    return [Column("setting", left, None), Column("value", values, None)]


def facts(subject: Subject) -> list[tuple[str, str]]:
    """Names and values, in the order in which a reader wants them; an empty value where nothing is known."""
    starts = pd.DataFrame([row for run in subject.runs for row in run.rows("provenance")])
    search = (subject.sweep or {}).get("search") or {}
    return [
        ("Trials", counts(subject.results["status"])),
        ("Swept", ", ".join(n for n in subject.names if n != "seed") if subject.sweep else ""),
        ("Search", ", ".join(f"{key} {search[key]}" for key in ("method", "metric", "mode") if key in search)),
        ("Seeds", _seeds(subject.axes, starts)),
        ("Hours", _hours(subject.results)),
        ("Date", _dates(starts)),
        ("Device", _several(starts.get("device", []))),
        ("Machine", _several(starts.get("platform", []))),
        ("Versions", _versions(starts)),
        ("XLA flags", _several(map(_without_paths, starts.get("xla_flags", [])))),
        ("Commit", _several(commit[:10] for commit in starts.get("git_commit", pd.Series(dtype=str)).dropna())),
    ]


def counts(status: pd.Series) -> str:
    """Trials by status, in words."""
    found = status.value_counts()
    named = [*STATUSES, *(s for s in found.index if s not in STATUSES)]
    parts = [f"{found[name]:,} {name}" for name in named if found.get(name)]
    return parts[0] if len(parts) == 1 else f"{len(status):,}: {', '.join(parts)}"


def _seeds(planned: pd.DataFrame, starts: pd.DataFrame) -> str:
    # A part of a chained sweep may leave the seed at the config's.
    given = planned["seed"] if "seed" in planned else starts.get("seed", pd.Series(dtype=int))
    seeds = sorted({int(seed) for seed in given.dropna() if isinstance(seed, int | float) and math.isfinite(seed)})
    consecutive = len(seeds) > 2 and seeds == [*range(int(seeds[0]), int(seeds[0]) + len(seeds))]
    return f"{seeds[0]} to {seeds[-1]}" if consecutive else _several(seeds)


def _hours(results: pd.DataFrame) -> str:
    """Hours of one trial after another; nothing where they were not recorded."""
    kinds = {"training": "train_seconds", "compiling": "compile_seconds"}
    found = {kind: results[c].astype(float).sum() / 3600 for kind, c in kinds.items() if c in results}
    return ", ".join(f"{number(float(hours))} {kind}" for kind, hours in found.items())


def _dates(starts: pd.DataFrame) -> str:
    days = sorted({time[:10] for time in starts.get("time", [])})
    return " to ".join(dict.fromkeys([days[0], days[-1]])) if days else ""


def _versions(starts: pd.DataFrame) -> str:
    python = [f"Python {_several(starts['python'])}"] if "python" in starts else []
    found: dict[str, set[str]] = {}
    for versions in starts.get("versions", pd.Series(dtype=object)).dropna():
        for name, version in versions.items():
            found.setdefault(name, set()).add(version or "")
    return ", ".join(python + [f"{name} {' and '.join(sorted(them))}" for name, them in found.items() if any(them)])


def _several(values: Iterable) -> str:
    """The different ones, at most eight of them by name."""
    found = list(dict.fromkeys(str(value) for value in values if value is not None and str(value)))
    return ", ".join(found[:8]) + (f" and {len(found) - 8:,} more" if len(found) > 8 else "")


def _without_paths(flags: object) -> str:
    """The flags but those that name a folder of whoever ran it."""
    return " ".join(flag for flag in str(flags or "").split() if "/" not in flag)
