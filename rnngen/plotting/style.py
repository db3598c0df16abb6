"""The look of figures: one style file, one colour a cell, seeds as a median with a band."""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator
from matplotlib.transforms import ScaledTranslation, Transform

from rnngen.plotting import STYLE

# Okabe and Ito's colours, told apart by everyone; the classic cells always have the same ones.
COLOURS = {"rnn": "#D55E00", "gru": "#009E73", "lstm": "#0072B2", "irnn": "#E69F00", "mingru": "#56B4E9"}
OTHERS = ("#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999", "#F0E442")
_TICK_LETTERS = 30  # that fit below a panel
# Files hold neither the date nor the version of Matplotlib.
_BARE: dict[str, dict[str, None]] = {"png": {"Software": None}, "svg": {"Creator": None, "Date": None}}


def colours(labels: Sequence[object]) -> dict[str, str]:
    """Return a colour for each label: that of the cell it names, alone or before a comma, else another, in turn."""
    names, known = [str(label) for label in dict.fromkeys(labels)], dict[str, str]()
    for name in sorted(names, key=lambda name: "," in name):
        colour = COLOURS.get(name.lower().removeprefix("tanh ").split(",")[0])
        if colour and colour not in known.values():
            known[name] = colour
    free = [colour for colour in OTHERS if colour not in known.values()]
    rest = [name for name in names if name not in known]
    return known | {name: free[number % len(free)] for number, name in enumerate(rest)}


def literal(text: str) -> str:
    """Escape a text of records, which Matplotlib would read as mathematics between dollar signs."""
    return text.replace("$", r"\$")


class ShownFigure(Figure):
    """A figure that a notebook shows, also where nobody imported pyplot, which teaches notebooks to."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """Return the picture, and its width on the screen, where a pixel is a 96th of an inch."""
        png = io.BytesIO()
        self.savefig(png, format="png")
        return png.getvalue(), {"width": round(96 * self.get_figwidth())}


def panels(rows: int, columns: int, *, width: float = 2.6, height: float = 2.4, **options) -> tuple[Figure, np.ndarray]:
    """Make a figure of rows x columns axes, each `width` x `height` inches; return it and the axes as a 2-D array."""
    figure = ShownFigure(figsize=(0.6 + width * columns, 0.5 + height * rows))
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def band(axes: Axes, label: str, colour: str, middle: pd.Series, low: pd.Series, high: pd.Series, **line) -> None:
    """Draw a line with its range shaded; values that are not finite leave gaps."""
    middle, low, high = (series.astype(float).replace([np.inf, -np.inf], np.nan) for series in (middle, low, high))
    axes.plot(middle.index, middle.values, color=colour, label=label, **line)
    axes.fill_between(middle.index, low.values, high.values, color=colour, alpha=0.18, linewidth=0)


def not_finite(axes: Axes, colour: str, places: Sequence[float]) -> None:
    """Draw crosses at the top edge where values are not finite."""
    if len(places):
        axes.plot(places, [1.0] * len(places), "x", color=colour, transform=axes.get_xaxis_transform(), clip_on=False)


def legend(axes: Axes, **options) -> None:
    """Draw a legend where any line has a label."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(**options)


def legend_above(figure: Figure) -> None:
    """Draw one legend of all panels above them, each label once; the figure grows by its lines."""
    pairs = (zip(*axes.get_legend_handles_labels(), strict=True) for axes in figure.axes)
    found = {label: handle for panel in pairs for handle, label in panel}
    if not found:
        return
    width, height = figure.get_size_inches()
    across = int(np.clip(width / (0.6 + 0.07 * max(map(len, found))), 1, len(found)))
    figure.set_size_inches(width, height + 0.2 * -(-len(found) // across))
    figure.legend(found.values(), found.keys(), loc="outside upper center", ncols=across)


def draw_curves(axes: Axes, label: str, colour: str, curves: list[list[float]], reverse: bool = False) -> None:
    """Draw the median over curves, one a seed, against their index, with the range shaded."""
    if not curves:
        return
    length = max(map(len, curves))
    stacked = np.array([c + [np.nan] * (length - len(c)) for c in curves], float)
    x = length - np.arange(length) if reverse else np.arange(length)
    absent = np.isnan(stacked)
    # Infinities stand for gradients that are not finite, and count as larger than any other.
    ordered = pd.DataFrame(np.where(np.isneginf(stacked), np.nan, stacked))
    middle, low, high = (getattr(ordered, how)().set_axis(x) for how in ("median", "min", "max"))
    band(axes, label, colour, middle, low, high)
    wild = np.isposinf(stacked).any(axis=0) & ~absent.all(axis=0)
    not_finite(axes, colour, list(x[wild][:: max(1, int(wild.sum()) // 12)]))


def powers_of_ten(axes: Axes) -> None:
    """Mark a y axis that holds logarithms to base ten."""
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"$10^{{{y:.0f}}}$"))


def unit_circle(axes: Axes) -> None:
    """Draw the unit circle, with both axes at one scale."""
    angle = np.linspace(0, 2 * np.pi, 200)
    axes.plot(np.cos(angle), np.sin(angle), color="0.6", linewidth=0.8)
    axes.set_aspect("equal", adjustable="datalim")


def number_axis(axes: Axes, values: Iterable[float]) -> None:
    """Scale an x axis of numbers: logarithmic where they are spaced so, as 1e-3, 3e-3, 1e-2 are.

    Zero beside such numbers stands left of them. A few values of a logarithmic axis are its ticks.
    """
    distinct = np.unique(np.asarray([*values], float))
    positive = distinct[distinct > 0]
    if not len(distinct) or distinct[0] < 0 or not _geometric(positive):
        return
    if distinct[0] == 0:
        axes.set_xscale("symlog", linthresh=positive[0], linscale=0.5)
    else:
        axes.set_xscale("log")
    ticks = [f"{value:g}" for value in distinct]
    if len(" ".join(ticks)) <= _TICK_LETTERS:
        axes.set_xticks(distinct, ticks)
        axes.xaxis.set_minor_locator(NullLocator())


def _geometric(values: np.ndarray) -> bool:
    """Return True where positive numbers are spaced more evenly as logarithms; of two, if they are ten times apart."""
    if len(values) < 3:
        return len(values) == 2 and bool(values[1] >= 10 * values[0])
    linear, logarithmic = (np.std(gaps) / np.mean(gaps) for gaps in (np.diff(values), np.diff(np.log(values))))
    return bool(logarithmic < linear)


def beside(axes: Axes, number: int, of: int) -> Transform:
    """Return coordinates for one curve of several, shifted a few points aside so that they do not overlap."""
    aside = min(4.0, 24.0 / of) * (number - (of - 1) / 2)
    return axes.transData + ScaledTranslation(aside / 72, 0, axes.figure.dpi_scale_trans)


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write a figure as PNG and SVG; the same figure gives the same bytes.

    Args:
      figure: to be saved.
      stem: path without a suffix.

    Returns:
      The files.
    """
    stem.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.style.context(STYLE):
        for kind, metadata in _BARE.items():
            figure.savefig(stem.with_name(f"{stem.name}.{kind}"), metadata=metadata)
    return [stem.with_name(f"{stem.name}.{kind}") for kind in _BARE]
