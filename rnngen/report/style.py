"""How figures look: one style file, one colour a cell, seeds as a median with a band."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

STYLE = Path(__file__).with_name("rnngen.mplstyle")
# Okabe and Ito's colours, told apart by everyone; the classic cells always have the same ones.
COLOURS = {"rnn": "#D55E00", "gru": "#009E73", "lstm": "#0072B2", "irnn": "#E69F00", "mingru": "#56B4E9"}
OTHERS = ("#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999", "#F0E442")


def colours(labels: Sequence[object]) -> dict[str, str]:
    """A colour for each label: that of the cell it names, alone or before a comma, else one of the others, in turn."""
    names, known = [str(label) for label in dict.fromkeys(labels)], dict[str, str]()
    for name in sorted(names, key=lambda name: "," in name):
        colour = COLOURS.get(name.lower().removeprefix("tanh ").split(",")[0])
        if colour and colour not in known.values():
            known[name] = colour
    free = [colour for colour in OTHERS if colour not in known.values()]
    rest = [name for name in names if name not in known]
    return known | {name: free[number % len(free)] for number, name in enumerate(rest)}


def styled(draw: Callable) -> Callable:
    """The function with the one style around all that it draws, and nothing else changed."""

    @functools.wraps(draw)
    def within(*args, **kwargs):
        with plt.style.context(STYLE):
            return draw(*args, **kwargs)

    return within


def panels(rows: int, columns: int, *, width: float = 2.6, height: float = 2.4, **options) -> tuple[Figure, np.ndarray]:
    """A figure of rows x columns axes, each `width` x `height` inches; the axes as a 2-D array."""
    return plt.subplots(rows, columns, figsize=(0.6 + width * columns, 0.5 + height * rows), squeeze=False, **options)


def band(axes: Axes, label: str, colour: str, middle: pd.Series, low: pd.Series, high: pd.Series, **line) -> None:
    """A line with its range shaded; where the middle is infinite or no number, a cross at the top says so."""
    middle, low, high = (series.astype(float).replace([np.inf, -np.inf], np.nan) for series in (middle, low, high))
    axes.plot(middle.index, middle.values, color=colour, label=label, **line)
    axes.fill_between(middle.index, low.values, high.values, color=colour, alpha=0.18, linewidth=0)


def not_finite(axes: Axes, colour: str, places: Sequence[float]) -> None:
    """Crosses at the top edge where values are infinite or no numbers."""
    if len(places):
        axes.plot(places, [1.0] * len(places), "x", color=colour, transform=axes.get_xaxis_transform(), clip_on=False)


def legend(axes: Axes, **options) -> None:
    """A legend where a line has a label: what never trained to an end has none."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(**options)


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write `stem.png` and `stem.svg`."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in ("png", "svg")]
    with plt.style.context(STYLE):
        for path in paths:
            # No date in the file: the same records give the same bytes.
            figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)
    return paths
