"""The look of a run and of a sweep in a notebook: a heading and one table, whose colours are the notebook's own."""

import html
from pathlib import Path
from typing import TYPE_CHECKING

from rnngen.storage.dotted import describe, short

if TYPE_CHECKING:
    import pandas as pd

    from rnngen.runs.run import Run
    from rnngen.runs.sweep import Sweep

MOST_ROWS = 20
NOT_METRICS = ("step", "split", "seconds", "steps_per_second", "data_wait")  # columns of metrics.jsonl


def run_html(run: "Run") -> str:
    """Return a run's cell, task and status, its newest metrics of each split, and the half-life of its gradient."""
    config = run.config or {}
    told = {part: describe(config[part]) for part in ("cell", "task") if part in config}
    told["status"] = run.status
    newest = {row["split"]: row for row in run.rows("metrics")}
    for split, row in newest.items():
        metrics = [f"{name} {value:.4g}" for name, value in row.items() if name not in NOT_METRICS]
        told[f"{split}, step {row['step']:,}"] = ", ".join(metrics)
    if half_life := (run.result or {}).get("half_life"):
        told["half-life of the gradient"] = f"{half_life['initial']:.3g} steps before, {half_life['final']:.3g} after"
    rows = "".join(f"<tr><th>{_text(name)}</th><td>{_text(value)}</td></tr>" for name, value in told.items())
    return f"{_heading('Run', run.path)}<table>{rows}</table>"


def sweep_html(sweep: "Sweep") -> str:
    """Return the number of trials of each status, and a row a setting: its trials, and medians over the finished."""
    counts = ", ".join(f"{number} {status}" for status, number in sweep.status.items()) or "no trials"
    heading = _heading("Sweep", sweep.path, counts)
    if not len(sweep):
        return heading
    table = _settings(sweep)
    cut = f"<p>The first {MOST_ROWS} of {len(table):,} settings.</p>" if len(table) > MOST_ROWS else ""
    return heading + table.head(MOST_ROWS).to_html(index=False, border=0, na_rep="", float_format="{:.4g}".format) + cut


def _settings(sweep: "Sweep") -> "pd.DataFrame":
    names, outcomes = sweep.settings, sweep.outcomes
    joined = sweep.axes[names].join(outcomes)
    setting = joined.groupby(names, sort=False, dropna=False).ngroup()
    rows = joined.loc[~setting.duplicated(), names].reset_index(drop=True).rename(columns=short)
    rows["trials"] = setting.value_counts().sort_index().values
    rows["finished"] = (joined["status"] == "finished").groupby(setting).sum().values
    for column in [name for name in outcomes if name.startswith(("metrics.test.", "half_life."))]:
        heading = column.replace("metrics.test.", "test ").replace("half_life.", "half-life, ")
        rows[heading] = joined[column].astype(float).groupby(setting).median().values
    return rows


def _heading(kind: str, path: Path, said: str = "") -> str:
    return f"<p><b>{kind}</b> <code>{_text(path)}</code>{': ' if said else ''}{_text(said)}</p>"


def _text(value: object) -> str:
    return html.escape(str(value))
