"""The effect of each axis of a sweep on the test loss, over all settings of the other axes."""

import itertools
import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnngen.plotting.figure import Look, NothingToDraw, figure
from rnngen.plotting.style import literal, not_finite, number_axis
from rnngen.report.columns import is_numeric
from rnngen.runs.settings import words
from rnngen.runs.sweep import Sweep
from rnngen.storage.dotted import short
from rnngen.storage.folder import TRAINED

LOSS = "metrics.test.loss"
_MOST_WORDS = 40  # values of an axis of words that are still readable
_SHORT, _LINE, _PANEL = 12, 30, 36  # letters of a line below an axis, level or upright, and of all that are level
_RASTER = 2000  # points, beyond which a vector file of them is larger than a picture
_POINTS, _MEDIANS = "#0072B2", "#000000"


@figure(
    "Effect of each axis",
    "Test loss against the values of each swept axis: a point a trial, crosses at the top where the loss is not "
    "finite. The dash is the median over all other settings and seeds, the bar the interquartile range; "
    "a search has points alone.",
)
def axis_effects(sweep: Sweep, look: Look) -> Figure:
    """Draw the test loss against each swept axis but the seed: a point a trial that trained to an end.

    A dash is the median over the other settings and seeds, a bar the interquartile range; a search, whose values are
    nearly all distinct, has neither.
    """
    found, names = sweep.outcomes, sweep.settings
    if LOSS not in found:
        raise NothingToDraw(f"{sweep.path} has no trial with a test loss yet")
    scored = found.loc[found["status"].isin(TRAINED), [LOSS]].astype(float)
    rows = sweep.axes[names].join(scored, how="inner")
    shown = [n for n in names if n != "seed" and rows[n].nunique() > 1 and _readable(rows[n])]
    if not shown:
        raise NothingToDraw(f"{sweep.path} has no axis with two values that have a result")
    medians = not sweep.is_search
    width, height = (max(side(rows[name]) for name in shown) for side in (_width, _height))
    across = min(len(shown), max(1, int(9 // width)))
    figure, panels = look.wrapped_panels(shown, across, "test loss", width=width, height=height, sharey=True)
    for axes, name in zip(panels, shown, strict=True):
        _draw(axes, rows[name], rows[LOSS], medians)
        axes.set_xlabel(literal(short(name).replace("_", " ")))
    return figure


def _draw(axes: Axes, values: pd.Series, losses: pd.Series, medians: bool) -> None:
    # Where values are told apart by words or stand in a crowd, points of one value lie side by side.
    at, beside = _places(axes, values)
    finite = np.isfinite(losses)
    axes.plot(
        (at + beside)[finite], losses[finite], "o", color=_POINTS, alpha=0.5, markersize=3.5, markeredgewidth=0,
        rasterized=len(losses) > _RASTER,
    )  # fmt: skip
    not_finite(axes, _POINTS, at[~finite].tolist())
    if medians:
        # An infinite loss counts as larger than any other, and so does NaN.
        grouped = losses.fillna(np.inf).groupby(at)
        low, high = (grouped.quantile(q, interpolation="nearest") for q in (0.25, 0.75))
        middle = grouped.median()
        axes.vlines(middle.index, low, high, color=_MEDIANS, linewidth=1.2)
        axes.plot(middle.index, middle, "_", color=_MEDIANS, markersize=9, markeredgewidth=1.5)
    if finite.any() and losses[finite].min() > 0 and losses[finite].max() > 10 * losses[finite].min():
        axes.set_yscale("log")


def _places(axes: Axes, values: pd.Series) -> tuple[pd.Series, pd.Series | float]:
    """Return each trial's position on the x axis, and the shift of its point there."""
    if is_numeric(values):
        number_axis(axes, values.dropna())
        return values.astype(float), 0.0
    texts = words(values).map(literal)
    names = list(dict.fromkeys(texts))
    at = texts.map({name: float(place) for place, name in enumerate(names)})
    order = texts.groupby(texts).cumcount() / texts.groupby(texts).transform("size")
    axes.set_xticks(range(len(names)), _ticks(names), rotation=90 if _upright(names) else 0)
    axes.set_xlim(-0.6, len(names) - 0.4)
    return at, 0.4 * (order - 0.5 * (order.groupby(texts).transform("max")))


def _readable(values: pd.Series) -> bool:
    return is_numeric(values) or values.nunique() <= _MOST_WORDS


def _ticks(names: list[str]) -> list[str]:
    """Wrap words below an axis onto two lines, and cut the rest."""
    width = _LINE if _upright(names) else _room(names)
    return ["\n".join(textwrap.wrap(name, width, max_lines=2, placeholder="\u2026")) for name in names]


def _upright(names: Sequence[str]) -> bool:
    """Return True where words are too many or too long to stand side by side."""
    room = _room(names)
    lines = [textwrap.wrap(name, room, break_long_words=False) for name in names]
    longest = [max(map(len, some), default=0) for some in lines]
    touching = any(a + b > 2 * _PANEL / len(names) for a, b in itertools.pairwise(longest))
    return len(names) > 4 or touching or max(longest, default=0) > room or any(len(some) > 2 for some in lines)


def _room(names: Sequence[str]) -> int:
    """Count the letters that fit on a level line: two names have half of the panel each."""
    return max(_SHORT, _PANEL // max(len(names), 1))


def _height(values: pd.Series) -> float:
    """Return a panel's height in inches: upright words hang far below it."""
    names = [] if is_numeric(values) else list(words(values).unique())
    return 2.4 + (0.065 * min(_LINE, max(map(len, names))) if _upright(names) else 0.0)


def _width(values: pd.Series) -> float:
    return 2.6 if is_numeric(values) else min(9.0, max(2.6, 0.26 * values.nunique()))
