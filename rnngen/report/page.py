"""One page of a sweep or a run, in one file that needs neither server nor network; built from records alone."""

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import NamedTuple

import pandas as pd

from rnngen.plotting.figure import Caption
from rnngen.report.columns import columns, number
from rnngen.report.markup import data_uri, details, element, pairs, scrolling, section, table, text
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
# The policy forbids every request, so that a page from a stranger cannot tell anyone that it was read.
_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; media-src data:; \
style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="rnngen">
$title
<style>
$style</style>
</head>
<body>
<main>
$body</main>
<script>
$script</script>
</body>
</html>
""")


def render(about: Sweep, rows: pd.DataFrame, figures: Sequence[Drawn], note: str = "") -> str:
    """Return the page of a sweep, or of a run alone, as HTML.

    Args:
      about: the sweep.
      rows: its `summary`.
      figures: what was drawn of it.
      note: a sentence on figures that were not drawn.
    """
    title = text("p", "Sweep" if about.plan else "Run", class_="kind") + text("h1", about.name)
    parts = [
        element("header", title, pairs(metadata(about)), _setup(about)),
        section("Results", "results", *_leaders(rows)),
        section("Figures", "figures", *map(picture, figures), text("p", note) if note else ""),
        section("Samples", "samples", samples(about)),
        section("Trials that did not finish", "unfinished", *_stopped(about.outcomes, about.setting_names)),
        section("All trials", "trials", details(f"{len(about.outcomes):,} trials", *_trials(about))),
    ]
    return document(about.name, parts)


def document(name: str, parts: Sequence[str]) -> str:
    """A whole page of these parts, which are HTML."""
    tab = text("title", f"{name}: rnngen")
    return _PAGE.substitute(title=tab, style=_inline("page.css"), script=_inline("page.js"), body="".join(parts))


def _inline(name: str) -> str:
    return resources.files("rnngen.report").joinpath(name).read_text("utf-8")


def _setup(about: Sweep) -> str:
    """What all trials share, to be opened; nothing where there is nothing."""
    common = shared(about)
    return details("Settings that all trials share", table(common, "Base config")) if common[0].texts else ""


def _leaders(rows: pd.DataFrame) -> list[str]:
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
    return [table(columns(rows), " ".join([about, *says]))]


def picture(drawn: Drawn) -> str:
    """Return a figure on a light card, with its caption; as a picture where its vector file is very large."""
    by_kind = {path.suffix: path for path in drawn.files}
    vector = by_kind.get(".svg")
    source = vector if vector and vector.stat().st_size <= LARGEST_SVG else by_kind[".png"]
    heading, says = drawn.caption
    image = element("img", src=data_uri(source), alt=f"{heading}. {says}").removesuffix("</img>")
    card = scrolling(image, heading).replace('class="scroll"', 'class="scroll card"')
    return element("figure", text("h3", heading), card, text("figcaption", says), id=drawn.name)


def _stopped(found: pd.DataFrame, named: pd.Series) -> list[str]:
    """Failures with their reasons, and the trials that diverged or were pruned with the step they came to."""
    failed = found[found["status"] == "failed"]
    items = [_failure(str(trial), named[trial], row) for trial, row in failed.head(MOST_LINES).iterrows()]
    out = [text("h3", f"Failed: {len(failed):,}"), element("ul", *items)] if items else []
    if len(failed) > MOST_LINES:
        out.append(text("p", f"The first {MOST_LINES:,} of them."))
    early = found[found["status"].isin(["diverged", "pruned"])]
    if len(early):
        shown = early.head(MOST_LINES)
        listed = pd.DataFrame({"trial": shown.index, "setting": named[shown.index].values})
        listed["status"], listed["step"] = shown["status"].values, whole(shown, "step").values
        cut = f" The first {MOST_LINES:,} of {len(early):,}." if len(early) > MOST_LINES else ""
        out.append(table(columns(listed), f"Diverged, or pruned by the search: the step they came to.{cut}"))
    return out


def _failure(trial: str, setting: str, row: pd.Series) -> str:
    why = text("span", row.get("reason", ""), class_="reason")
    trace = row.get("traceback")
    more = details("Traceback", text("pre", trace)) if isinstance(trace, str) and trace else ""
    return element("li", text("code", trial), f" {text('span', f'({setting})')}: ", why, more)


def _trials(about: Sweep) -> list[str]:
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
    return [table(columns(rows), f"One row a trial, as it ended; {NOTHING}: it has no such number.{cut}")]
