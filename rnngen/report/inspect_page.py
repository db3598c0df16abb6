"""The page of a look inside a run, from its `inspection.json` alone."""

import itertools
import math
import os
from pathlib import Path

import pandas as pd

from rnngen.plotting.style import save
from rnngen.report import markup
from rnngen.report.columns import columns
from rnngen.report.inspect_figures import FIGURES
from rnngen.report.page import Drawn, Table, picture
from rnngen.storage.jsonl import read_json

LEVELS = 8  # shades of either colour


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
    return markup.render(
        "inspection.html",
        name=name,
        metadata=_facts(record),
        figures={figure.name: picture(figure) for figure in drawn},
        units=record["units"],
        shaded=_shaded(record["units"]),
        points=record["fixed_points"],
        found=_points(record["fixed_points"]),
    )


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


def _shaded(units: dict) -> list[tuple[str, list[tuple[str, str]]]]:
    """For each of the units a heading, and the text in pieces of one colour, by its activation; none of no text."""
    if units["text"] is None:
        return []
    headings = [f"{unit['property']}: {unit['unit']}, {unit['score']:+.2f}" for unit in units["found"]]
    return [(h, _pieces(units["text"], unit["activation"])) for h, unit in zip(headings, units["found"], strict=True)]


def _pieces(characters: str, activation: list[float]) -> list[tuple[str, str]]:
    low, high = min(activation), max(activation)
    levels = [round((2 * (a - low) / max(high - low, 1e-12) - 1) * LEVELS) for a in activation]
    runs = itertools.groupby(zip(levels, characters, strict=True), lambda pair: pair[0])
    return [(_colour(level), "".join(character for _, character in run)) for level, run in runs]


def _colour(level: int) -> str:
    return f"rgba({'0,114,178' if level > 0 else '213,94,0'},{abs(level) / LEVELS * 0.75:.2f})"


def _points(of: dict) -> Table | None:
    """A line a point; None where there is none."""
    if not of.get("points"):
        return None
    rows = pd.DataFrame(of["points"])[["kind", "speed", "growing", "time_constant", "nearest"]]
    says = (
        f"Found from {of['starts']} of the states. Speed: how far a step moves the carry (typically "
        f"{of['typical_speed']:.3g}); growing: directions that grow; time constant: steps of the slowest direction, "
        "negative where it grows; nearest: distance to the nearest of the states."
    )
    return columns(rows), says
