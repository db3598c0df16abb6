"""The page of a look inside a run, from its `inspection.json` alone."""

import html
import math
import os
from pathlib import Path

import pandas as pd

from rnngen.plotting.style import save
from rnngen.report.columns import columns
from rnngen.report.inspect_figures import FIGURES
from rnngen.report.markup import element, pairs, scrolling, section, table, text
from rnngen.report.page import Drawn, document, picture
from rnngen.storage.jsonl import read_json

LEVELS = 8  # shades of either colour
CAPTION = (
    "A unit's activation after it has read each character: red below its middle, blue above it. A score is 2 AUC - 1 "
    "for what is true or false, a rank correlation else, on steps that the unit was not chosen by."
)


def write(folder: str | os.PathLike) -> list[Path]:
    """Write `figures/inspect_*` and `inspect.html` of a run's folder that holds an `inspection.json`.

    Returns what was written. Raises FileNotFoundError where there is no such file.
    """
    folder = Path(folder)
    record = read_json(folder / "inspection.json")
    drawn = []
    for draw in FIGURES:
        figure = draw(record)
        if figure is not None:
            drawn.append(Drawn(draw.__name__, draw.caption, save(figure, folder / "figures" / draw.__name__)))
    page = folder / "inspect.html"
    page.write_text(render(folder.resolve().name, record, drawn), encoding="utf-8")
    return [*(path for figure in drawn for path in figure.files), page]


def render(name: str, record: dict, drawn: list[Drawn]) -> str:
    """The page as HTML."""
    title = text("p", "Inside a run", class_="kind") + text("h1", name)
    shown = {figure.name: picture(figure) for figure in drawn}
    get = lambda *names: [shown.get(f"inspect_{what}", "") for what in names]  # noqa: E731
    parts = [
        element("header", title, pairs(_facts(record))),
        section("Units", "units", *_units(record["units"]), *get("units")),
        section("Predictions", "predictions", *get("connectivity", "flow")),
        section("Dynamics", "dynamics", *get("fixed_points"), *_points(record["fixed_points"]), *get("eigenvalues")),
        section("Gates", "gates", *get("gates")),
    ]
    return document(f"inside {name}", parts)


def _facts(record: dict) -> list[tuple[str, str]]:
    given, run = record["input"], record["run"]
    half = record["flow"]["half_life"]["all"]["steps"]
    return [
        ("Cell", run["cell"]),
        ("Task", run["task"]),
        ("Trained for", f"{run['step']:,} updates"),
        ("Looked at", f"{given['examples']} x {given['steps']} steps, {given['source']}"),
        ("Loss on these", f"{given['loss']:.4g}"),
        ("Half-life of the gradient", f"{half:.3g} steps" if math.isfinite(half) else "it does not fall"),
    ]


def _units(units: dict) -> list[str]:
    """The text once for each of the units, shaded by its activation."""
    if not units["found"]:
        return [text("p", "No unit was held against a property: none of them varies enough in this input.")]
    if units["text"] is None:
        return []
    out = [text("p", CAPTION, class_="note")]
    for unit in units["found"]:
        heading = f"{unit['property']}: {unit['unit']}, {unit['score']:+.2f}"
        shaded = element("p", _shaded(units["text"], unit["activation"]), class_="shaded")
        out += [text("h3", heading), scrolling(shaded, heading).replace('class="scroll"', 'class="scroll card"')]
    return out


def _shaded(characters: str, activation: list[float]) -> str:
    """Characters in runs of one shade; a line break is shown, and kept."""
    low, high = min(activation), max(activation)
    levels = [round((2 * (a - low) / max(high - low, 1e-12) - 1) * LEVELS) for a in activation]
    runs: list[list] = []
    for character, level in zip(characters, levels, strict=True):
        if not runs or runs[-1][0] != level:
            runs.append([level, ""])
        runs[-1][1] += character
    return "".join(_span(level, shown) for level, shown in runs)


def _span(level: int, shown: str) -> str:
    colour = "0,114,178" if level > 0 else "213,94,0"
    inside = html.escape(shown).replace("\n", "\u21b5<br>")
    return element("span", inside, style=f"background:rgba({colour},{abs(level) / LEVELS * 0.75:.2f})")


def _points(of: dict) -> list[str]:
    """A line a point."""
    if "left_out" in of:
        return [text("p", f"Fixed points were not searched for: {of['left_out']}.")]
    if not of["points"]:
        return [text("p", f"No point where the carry rests or lingers was found from {of['starts']} states.")]
    rows = pd.DataFrame(
        [
            {key: point[key] for key in ("kind", "speed", "growing", "time_constant", "nearest")}
            for point in of["points"]
        ]
    )
    says = (
        f"Found from {of['starts']} of the states. Speed: how far a step moves the carry (typically "
        f"{of['typical_speed']:.3g}); growing: directions that grow; time constant: steps of the slowest direction, "
        "negative where it grows; nearest: distance to the nearest of the states."
    )
    return [table(columns(rows), says)]
