"""One page of a sweep or a run, in one file that needs neither server nor network; built from records alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from rnngen.plotting.figure import Caption
from rnngen.report import markup
from rnngen.report.columns import Column, columns, number
from rnngen.report.curves import curves
from rnngen.report.metadata import metadata, shared
from rnngen.report.samples import samples
from rnngen.report.tables import whole
from rnngen.runs.settings import NOTHING, REPEATS
from rnngen.runs.sweep import Sweep
from rnngen.storage.dotted import short


class Drawn(NamedTuple):
    """A figure that was drawn: its name, its caption and its files, one of them a PNG."""

    name: str
    caption: Caption
    files: list[Path]


MOST_TRIALS, MOST_SETTINGS, MOST_LINES = 2000, 500, 200
LARGEST_SVG = 300_000
Table = tuple[list[Column], str]  # and its caption


def render(about: Sweep, rows: pd.DataFrame, figures: Sequence[Drawn], note: str = "") -> str:
    """Return the page of a sweep, or of a run alone, as HTML.

    Args:
      about: the sweep.
      rows: its `summary`.
      figures: what was drawn of it.
      note: a sentence on figures that were not drawn.
    """
    shown, left_out = samples(about)
    failed = about.outcomes[about.outcomes["status"] == "failed"]
    return markup.render(
        "sweep.html",
        kind="Sweep" if about.plan else "Run",
        name=about.name,
        metadata=metadata(about),
        shared=shared(about),
        results=_leaders(rows),
        curves=curves(about),
        figures=[picture(drawn) for drawn in figures],
        note=note,
        samples=shown,
        left_out=left_out,
        failed=len(failed),
        failures=[_failure(trial, about, row) for trial, row in failed.head(MOST_LINES).iterrows()],
        early=_stopped_early(about),
        trials=_trials(about),
        total=len(about.outcomes),
    )


def _leaders(rows: pd.DataFrame) -> Table:
    """The summary: all settings, or of very many those with the least test loss, in the order of the sweep."""
    says, total = [], len(rows)
    if total > MOST_SETTINGS and "test_loss_median" in rows:
        rows = rows.loc[rows["test_loss_median"].nsmallest(MOST_SETTINGS).index.sort_values()]
        says.append(f"The {len(rows):,} settings of the least median test loss, of {total:,}; table.csv has all.")
    baseline = rows["baseline"].dropna().unique()
    if len(baseline) == 1:
        rows = rows.drop(columns="baseline")
        says.append(f"The best memoryless predictor has a loss of {number(float(baseline[0]))}.")
    about = (
        "One row a setting: medians over seeds with [least, greatest]; solved: the share of seeds that solved the "
        "task, with Wilson's 95 % interval; half-lives: of the gradient's norm, before and after training."
    )
    return columns(rows), " ".join([about, *says])


def picture(drawn: Drawn) -> dict[str, Any]:
    """Return a figure as the templates take it; as a picture where its vector file is very large."""
    by_kind = {path.suffix: path for path in drawn.files}
    vector = by_kind.get(".svg")
    source = vector if vector and vector.stat().st_size <= LARGEST_SVG else by_kind[".png"]
    return {"name": drawn.name, "caption": drawn.caption, "source": markup.data_uri(source)}


def _failure(trial: Any, about: Sweep, row: pd.Series) -> dict[str, Any]:
    trace = row.get("traceback")
    return {
        "trial": trial,
        "setting": about.setting_names[trial],
        "reason": row.get("reason", ""),
        "traceback": trace if isinstance(trace, str) else "",
    }


def _stopped_early(about: Sweep) -> Table | None:
    """The trials that diverged or were pruned, with the step they came to; None where there is none."""
    early = about.outcomes[about.outcomes["status"].isin(["diverged", "pruned"])]
    if early.empty:
        return None
    shown = early.head(MOST_LINES)
    listed = pd.DataFrame({"trial": shown.index, "setting": about.setting_names[shown.index].values})
    listed["status"], listed["step"] = shown["status"].values, whole(shown, "step").values
    cut = f" The first {MOST_LINES:,} of {len(early):,}." if len(early) > MOST_LINES else ""
    return columns(listed), f"Diverged, or pruned by the search: the step they came to.{cut}"


def _trials(about: Sweep) -> Table:
    found, shown = about.outcomes, about.outcomes.head(MOST_TRIALS)
    rows = pd.DataFrame({"trial": shown.index, "setting": about.setting_names.reindex(shown.index).values})
    planned = about.axes.reindex(shown.index)
    for name in [name for name in REPEATS if name in planned]:
        rows[short(name)] = whole(planned, name).values
    rows["status"], rows["step"] = shown["status"].values, whole(shown, "step").values
    wanted = [c for c in found if c.startswith(("metrics.test.", "half_life."))]
    for column in wanted:
        rows[column.replace("metrics.test.", "test_").replace(".", "_")] = shown[column].astype(float).values
    cut = f" The first {MOST_TRIALS:,} of {len(found):,}; the records have all." if len(found) > MOST_TRIALS else ""
    return columns(rows), f"One row a trial, as it ended; {NOTHING}: it has no such number.{cut}"
