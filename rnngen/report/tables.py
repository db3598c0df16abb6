"""The table of a sweep: one row a setting, over its seeds. Built from records alone."""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from rnngen.records import TRAINED, describe, load, runs, short, sweep

SPREAD = {"median": "median", "min": "min", "max": "max"}


def axes(folder: str | os.PathLike) -> pd.DataFrame:
    """What each trial of a sweep changes: index trial, one column a dotted name; a run has its cell's name."""
    found = sweep(folder)
    if found is None:
        config = runs(folder)[0].config() or {}
        return pd.DataFrame({"cell.name": [config["cell"]["name"]]}, index=[Path(folder).name])
    names = list(dict.fromkeys(name for trial in found["trials"] for name in trial["overrides"]))
    rows = [[_shown(found["config"], t, name) for name in names] for t in found["trials"]]
    return pd.DataFrame(rows, columns=names, index=[trial["id"] for trial in found["trials"]])


def settings(folder: str | os.PathLike) -> tuple[pd.DataFrame, list[str]]:
    """`axes`, and the names of its columns that tell settings apart.

    The seed is none of them, nor is a column that follows from the others.
    """
    frame = axes(folder)
    names = [name for name in frame.columns if name != "seed" and frame[name].nunique(dropna=False) > 1]
    for name in reversed(names):
        rest = [other for other in names if other != name]
        if rest and len(frame[rest].drop_duplicates()) == len(frame[names].drop_duplicates()):
            names = rest
    return frame, names or [name for name in frame.columns if name != "seed"][:1] or ["seed"]


def summary(folder: str | os.PathLike) -> pd.DataFrame:
    """One row a setting: trials by status, median, least and greatest test metrics over seeds, the baseline
    without memory, the rate of success with its interval, the half-life of the gradient before and after training."""
    frame, names = settings(folder)
    results = load(folder, "results").set_index("trial")
    joined = frame[names].join(results[[c for c in results if not c.startswith("config.")]])
    rows = []
    for values, group in joined.groupby(names, sort=False, dropna=False):
        row = {short(name): value for name, value in zip(names, values, strict=True)}
        rows.append(row | _statistics(group))
    return pd.DataFrame(rows)


def wilson(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval of a rate (1927), 95 % by default; (0, 1) where nothing was tried."""
    if not trials:
        return 0.0, 1.0
    rate, spread = successes / trials, z**2 / trials
    middle = (rate + spread / 2) / (1 + spread)
    half = z * np.sqrt(rate * (1 - rate) / trials + spread / (4 * trials)) / (1 + spread)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def failures(folder: str | os.PathLike) -> list[str]:
    """A line for each failed trial: its id, what it changes, and why it failed."""
    frame, lines = axes(folder), []
    for run in runs(folder):
        result = run.result()
        if result is not None and result["status"] == "failed":
            changes = ", ".join(f"{short(k)}={v}" for k, v in frame.loc[run.path.name].items())
            lines.append(f"{run.path.name} ({changes}): {result['reason']}")
    return lines


def _statistics(group: pd.DataFrame) -> dict:
    over = group[group["status"].isin(TRAINED)]
    row: dict = {"trials": len(group)}
    row |= {status: int((group["status"] == status).sum()) for status in ("finished", "diverged", "failed")}
    for metric in [c for c in group if c.startswith("metrics.test.")]:
        name = "test_" + metric.removeprefix("metrics.test.")
        row |= {f"{name}_{key}": _over_seeds(over[metric], how) for key, how in SPREAD.items()}
    row["baseline"] = over["baseline"].iloc[0] if len(over) else np.nan
    row["success_rate"] = float(over["solved"].astype(float).mean()) if len(over) else np.nan
    row["success_low"], row["success_high"] = wilson(int(over["solved"].sum()) if len(over) else 0, len(over))
    for column in [c for c in group if c.startswith("half_life.")]:
        name = column.replace(".", "_")
        row |= {f"{name}_{key}": _over_seeds(over[column], how) for key, how in SPREAD.items()}
    return row


def _over_seeds(values: pd.Series, how: str) -> float:
    return float(getattr(values.astype(float), how)()) if len(values) else np.nan


def _shown(config: dict, trial: dict, name: str) -> object:
    """A trial's value at a dotted name as its sweep calls it, or as a table shows it."""
    return trial.get("labels", {}).get(name) or describe(_value(config, trial["overrides"], name))


def _value(config: dict, overrides: dict, name: str) -> object:
    """What a trial has at a dotted name, whether it overrides that, a part around it, or nothing there."""
    if name in overrides:
        return overrides[name]
    whole = next((outer for outer in overrides if name.startswith(f"{outer}.")), None)
    at: object = config if whole is None else overrides[whole]
    for part in (name if whole is None else name.removeprefix(f"{whole}.")).split("."):
        at = at.get(part) if isinstance(at, dict) else None
    return at


def markdown(rows: pd.DataFrame) -> str:
    """The rows as a table in Markdown, numbers to three digits."""
    lines = [[str(c) for c in rows.columns], ["---"] * len(rows.columns)]
    lines += [[f"{v:.3g}" if isinstance(v, float) else str(v) for v in row] for row in rows.values.tolist()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cost(folder: str | os.PathLike) -> str:
    """What a sweep took: trials, seeds, hours of training and compiling, versions and machines, in one line."""
    results, starts = load(folder, "results"), load(folder, "provenance")
    hours = results[["train_seconds", "compile_seconds"]].astype(float).sum().sum() / 3600
    counts = ", ".join(f"{number} {status}" for status, number in results["status"].value_counts().items())
    jax = sorted({versions["jax"] for versions in starts["versions"]})
    devices = sorted(set(starts["device"]))
    return f"{counts}; {hours:.2f} hours, one trial at a time; JAX {', '.join(jax)}; {', '.join(devices)}"
