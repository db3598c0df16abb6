"""The arguments that all figures of records share: axes to draw into; order, labels and colours of curves; a style."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

import numpy as np

from rnngen.plotting import STYLE
from rnngen.registry import nearest

if TYPE_CHECKING:  # loaded when the first figure is drawn, since training and diagnoses need neither
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_PANELS, MOST_CURVES = 8, 12  # of a readable figure
RANGE = "Lines are medians over seeds, bands reach from the least to the greatest seed."
_ARGUMENTS = """
  records: what `rnngen.open` gives.
  ax: axes to draw into, one or an array of as many as there are panels; None makes a figure.
  order: the curves to draw, by name, in this order; None: all.
  labels: the words for a curve, by its name.
  colors: the colour of a curve, by its name.
  style: a Matplotlib style on top of rnngen's."""
_RESULT = """

Returns:
  The figure.

Raises:
  NothingToDraw: the records do not have what it shows.
  ValueError: there is no such curve, or not as many panels as axes."""


class NothingToDraw(ValueError):  # noqa: N818, a page leaves such a figure out
    """The records hold nothing for a figure; the message says which settings would record it."""


class Caption(NamedTuple):
    """The heading of a figure, and one or two sentences on what is drawn."""

    heading: str
    text: str


class DrawnFigure(Protocol):
    """A function that draws a figure, with its caption and its name."""

    caption: Caption
    __name__: str

    def __call__(self, *args: Any, **kwargs: Any) -> "Figure":
        """Draw it."""


class Look:
    """The look that the caller of a figure asked for.

    Attributes:
      ax: axes to draw into, one or an array; None makes a figure.
    """

    def __init__(
        self,
        ax: "Axes | np.ndarray | None" = None,
        order: Sequence[str] | None = None,
        labels: Mapping[str, str] | None = None,
        colors: Mapping[str, str] | None = None,
    ):
        self.ax, self._order, self._labels, self._colors = ax, order, labels or {}, colors or {}

    @property
    def single(self) -> bool:
        """True where all goes into one axes of the caller's."""
        return self.ax is not None and not isinstance(self.ax, np.ndarray | list | tuple)

    def curves(self, rows: "pd.DataFrame", column: str = "curve") -> tuple["pd.DataFrame", dict[str, str]]:
        """Return the rows whose `column` is to be drawn, in its order and as its labels, and the colour of each label.

        Raises:
          ValueError: the order, labels or colours name a curve that is not there.
        """
        from rnngen.plotting import style

        there = [str(name) for name in dict.fromkeys(rows[column])]
        for name in (*(self._order or ()), *self._labels, *self._colors):
            if name not in there:
                raise ValueError(f"no curve {name!r}{nearest(name, there)}")
        names = there if self._order is None else list(self._order)
        palette = style.colours(there) | dict(self._colors)
        shown = {name: self._labels.get(name, style.literal(name)) for name in names}
        kept = rows
        if self._order is not None:
            kept = rows[rows[column].isin(names)]
            kept = kept.iloc[np.argsort(kept[column].map(names.index).to_numpy(), kind="stable")]
        return kept.assign(**{column: kept[column].map(shown)}), {shown[name]: palette[name] for name in names}

    def moments(self, parts: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parts to draw: into the caller's single axes only the last."""
        return dict([list(parts.items())[-1]]) if self.single else dict(parts)

    def panels(self, rows: int, columns: int, **options: Any) -> tuple["Figure", np.ndarray]:
        """Return a figure and its axes as a 2-D array: the caller's, or new ones as `style.panels` makes them.

        Raises:
          ValueError: the caller's are not as many.
        """
        if self.ax is None:
            from rnngen.plotting import style

            return style.panels(rows, columns, **options)
        given = np.ravel(np.asarray(self.ax, dtype=object))
        if given.size != rows * columns:
            raise ValueError(f"ax: this figure has {rows * columns} panels, got {given.size}")
        return given[0].figure, given.reshape(rows, columns)

    def wrapped_panels(self, names: Sequence[str], across: int, ylabel: str, **options: Any) -> tuple["Figure", list]:
        """Return a figure and an axes for each name, `across` in a row, the left ones with the label."""
        figure, grid = self.panels(-(-len(names) // across), across, **options)
        for axes in grid.flat[len(names) :]:
            axes.set_axis_off()
        for axes in grid[:, 0]:
            axes.set_ylabel(ylabel)
        return figure, list(grid.flat[: len(names)])

    def legend(self, figure: "Figure") -> None:
        """Put one legend above the panels, or, where they are the caller's, one into the last."""
        from rnngen.plotting import style

        if self.ax is None:
            style.legend_above(figure)
        else:
            style.legend(np.ravel(np.asarray(self.ax, dtype=object))[-1])


def figure(heading: str, text: str, name: str = "") -> Callable[[Callable], DrawnFigure]:
    """Make a public figure of `draw(sweep, look, **options) -> Figure`.

    The figure takes a `Run` or a `Sweep`, and as keywords what `_ARGUMENTS` lists and the options of `draw`, whose own
    docstring describes these alone.

    Args:
      heading: what the figure is called on a page.
      text: one or two sentences on what is drawn.
      name: of its files; default: the function's.

    Returns:
      The decorator.
    """

    def decorate(draw: Callable[..., "Figure"]) -> DrawnFigure:
        @functools.wraps(draw)
        def drawn(
            records: Any,
            *,
            ax: "Axes | np.ndarray | None" = None,
            order: Sequence[str] | None = None,
            labels: Mapping[str, str] | None = None,
            colors: Mapping[str, str] | None = None,
            style: Any = None,
            **options: Any,
        ) -> "Figure":
            if not hasattr(records, "as_sweep"):
                raise TypeError(f"a figure takes what rnngen.open(folder) gives, got {records!r:.80}")
            import matplotlib.style

            with matplotlib.style.context([STYLE] if style is None else [STYLE, style]):
                return draw(records.as_sweep(), Look(ax, order, labels, colors), **options)

        own = list(inspect.signature(draw).parameters.values())[2:]
        common = [p for p in inspect.signature(drawn, follow_wrapped=False).parameters.values() if p.name != "options"]
        drawn.__signature__ = inspect.Signature([*common, *own], return_annotation="Figure")  # type: ignore[attr-defined]
        drawn.caption = Caption(heading, text)  # type: ignore[attr-defined]
        drawn.__name__ = name or draw.__name__
        drawn.__doc__ = _documented(draw)
        return cast(DrawnFigure, drawn)

    return decorate


def _documented(draw: Callable) -> str:
    """Return the docstring of a figure: that of `draw`, with the arguments that all figures share."""
    says, _, own = inspect.cleandoc(draw.__doc__ or "").partition("\n\nArgs:\n")
    return f"{says}\n\nArgs:{_ARGUMENTS}\n{own}".rstrip() + _RESULT


def captioned(heading: str, text: str) -> Callable[[Callable], DrawnFigure]:
    """Give a function that draws rnngen's style and a caption."""

    def decorate(draw: Callable) -> DrawnFigure:
        @functools.wraps(draw)
        def drawn(*args: Any) -> Any:
            import matplotlib.style

            with matplotlib.style.context(STYLE):
                return draw(*args)

        drawn.caption = Caption(heading, text)  # type: ignore[attr-defined]
        return cast(DrawnFigure, drawn)

    return decorate


def check_readable(panels: int, curves: int, most_panels: int = MOST_PANELS) -> None:
    """Raise NothingToDraw where there are more panels or curves than anybody could read."""
    if panels > most_panels or curves > MOST_CURVES:
        raise NothingToDraw(f"{panels} panels of {curves} curves are more than anybody could read: give order=")
