"""Records of diagnoses as figures take them: labelled, and of the shape that the diagnosis gives them."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from rnngen.plotting.figure import Look, NothingToDraw
from rnngen.storage.jsonl import DamagedFile, misfit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

CURVE = {"median": [float]}


def diagnosed(
    sweep: Any, what: str, shape: Mapping[str, Any], check: Callable[[dict], str] | None = None
) -> "pd.DataFrame":
    """Return the rows of one diagnosis of a sweep, with columns `curve` and `panel`.

    Args:
      sweep: the records.
      what: name of the diagnosis.
      shape: of a row, see `jsonl.misfit`.
      check: (row) -> what else is wrong with it, "" for nothing.

    Raises:
      NothingToDraw: the diagnosis was not made.
      DamagedFile: a row is not as the diagnosis makes it.
    """
    rows = sweep.diagnosed(what)
    if rows.empty:
        raise NothingToDraw(f"{sweep.path} has no record of {what}: train with config.diagnose.what = ({what!r},)")
    for row in rows[["trial", "step", *(name for name in shape if name in rows)]].to_dict("records"):
        wrong = misfit(row, shape) or (check(row) if check else "")
        if wrong:
            raise DamagedFile(f"{row['trial']}/diagnoses.jsonl: {what} at step {row['step']}: {wrong.lstrip('. ')}")
    return rows


def before_and_after(
    sweep: Any,
    look: Look,
    rows: "pd.DataFrame",
    values: Callable[[Any], dict[float, float]],
    *,
    xlabel: str,
    ylabel: str,
    log: bool = False,
) -> "Figure":
    """Draw a panel at initialisation and one after training: medians over seeds of `values(row)`, ranges shaded."""
    import pandas as pd

    from rnngen.plotting.style import band, powers_of_ten

    rows, colour = look.curves(rows)
    moments = look.moments(sweep.moments(rows))
    figure, (line,) = look.panels(1, len(moments), width=3.4, height=2.6, sharey=True)
    for axes, (moment, chosen) in zip(line, moments.items(), strict=True):
        for label, group in chosen.groupby("curve", sort=False):
            seeds = pd.DataFrame([values(row) for _, row in group.iterrows()])
            seeds = seeds.T.astype(float).replace([np.inf, -np.inf], np.nan).sort_index()
            low, middle, high = seeds.min(axis=1), seeds.median(axis=1), seeds.max(axis=1)
            band(axes, str(label), colour[str(label)], middle, low, high)
        axes.set(title=moment, xlabel=xlabel)
        if not log:
            axes.axhline(0, color="0.6", linewidth=0.8)
    if log:
        powers_of_ten(line[0])
    line[0].set_ylabel(ylabel)
    look.legend(figure)
    return figure


def is_numbers(value: Any) -> str:
    """Return an error message unless the value is nested lists of numbers, "" where it is."""
    try:
        return "" if np.asarray(value, float).ndim else " must be a list of numbers"
    except (TypeError, ValueError):
        return " must be a list of numbers"


def pairs(first: str, second: str, inside: Any, count: Callable[[Any], int]) -> Callable[[Any], str]:
    """Return the shape of two values that belong together, each of the shape `inside` and as many as `count` says."""

    def wrong(value: Any) -> str:
        missed = misfit(value, {first: inside, second: inside})
        return missed or ("" if count(value[first]) == count(value[second]) else f" needs as many {first} as {second}")

    return wrong
