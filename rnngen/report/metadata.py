"""Facts of a sweep from its records: number of trials, shared settings, versions, machine, hours, dates."""

import math
from collections.abc import Iterable

import pandas as pd

from rnngen.report.columns import Column, number
from rnngen.runs.sweep import Sweep
from rnngen.storage.dotted import flatten

STATUSES = ("finished", "diverged", "pruned", "failed", "unfinished")


def shared(sweep: Sweep) -> list[Column]:
    """Return the settings that all trials have in common: a column of dotted names, and one of values."""
    swept, flat = sweep.axes.columns if sweep.plan else (), flatten(sweep.config)
    # An override may stand for a whole part, as `cell` does for `cell.name`.
    left = [key for key in flat if not any(key == name or key.startswith(f"{name}.") for name in swept)]
    values = [str(flat[key]) for key in left]
    return [Column("setting", left, None), Column("value", values, None)]


def metadata(sweep: Sweep) -> list[tuple[str, str]]:
    """Return names and values, in the order in which a reader wants them; an empty value where it is not known."""
    starts, search = sweep.provenance, sweep.search
    return [
        ("Trials", counts(sweep.outcomes["status"])),
        ("Swept", ", ".join(n for n in sweep.settings if n != "seed") if sweep.plan else ""),
        ("Search", ", ".join(f"{key} {search[key]}" for key in ("method", "metric", "mode") if key in search)),
        ("Seeds", _seeds(sweep.axes, starts)),
        ("Hours", _hours(sweep.outcomes)),
        ("Date", _dates(starts)),
        ("Device", _several(starts.get("device", []))),
        ("Machine", _several(starts.get("platform", []))),
        ("Versions", _versions(starts)),
        ("XLA flags", _several(map(_without_paths, starts.get("xla_flags", [])))),
        ("Commit", _several(commit[:10] for commit in starts.get("git_commit", pd.Series(dtype=str)).dropna())),
    ]


def counts(status: pd.Series) -> str:
    """Count trials by status, in words."""
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
    """Return the hours of one trial after another; "" where they were not recorded."""
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
    """Join the distinct values, at most eight of them by name."""
    found = list(dict.fromkeys(str(value) for value in values if value is not None and str(value)))
    return ", ".join(found[:8]) + (f" and {len(found) - 8:,} more" if len(found) > 8 else "")


def _without_paths(flags: object) -> str:
    """Remove the flags that name a folder of the user's."""
    return " ".join(flag for flag in str(flags or "").split() if "/" not in flag)
