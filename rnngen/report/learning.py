"""Loss against training steps."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnngen.plotting.figure import Look, NothingToDraw, check_readable, figure
from rnngen.plotting.style import band, literal, not_finite
from rnngen.runs.sweep import Sweep

THIN = 0.6  # points, of secondary lines


@figure(
    "Learning curves",
    "Validation loss against training steps; thin, the loss on train, where it was recorded. Lines are medians "
    "over seeds, bands reach from the least to the greatest seed; dashed: the loss of the best memoryless predictor; "
    "crosses: no finite number. Where all curves end close to each other, the start is cut off.",
)
def learning_curves(sweep: Sweep, look: Look) -> Figure:
    """Draw the loss on valid, thin on train, against training steps, with that of the best memoryless predictor.

    The limits show where every curve ends, and crosses where a loss is not finite.
    """
    rows = sweep.labelled("metrics")
    rows = rows if rows.empty else rows[rows["split"].isin(("train", "valid"))]
    if rows.empty:
        raise NothingToDraw(f"{sweep.path} has no metrics yet")
    names = list(dict.fromkeys(rows["panel"]))
    rows, colour = look.curves(rows)
    check_readable(len(names), len(colour))
    baselines = sweep.outcomes.get("baseline", pd.Series(dtype=float))
    figure, panels = look.wrapped_panels(names, min(len(names), 4), "validation loss", width=3.0, height=2.6)
    for axes, panel in zip(panels, names, strict=True):
        here = rows[rows["panel"] == panel]
        for label, group in here.groupby("curve", sort=False):
            _draw_losses(axes, str(label), colour[str(label)], group)
        baseline = baselines.reindex(here["trial"]).dropna()
        if len(baseline):
            axes.axhline(baseline.iloc[0], color="0.4", linestyle="--", linewidth=1, label="memoryless")
        axes.set(xlabel="training step", title=literal(panel) or None, **_loss_axis(here, baseline))
    if (rows["split"] == "train").any():
        panels[0].plot([], [], color="0.4", linewidth=THIN, label="on train")
    look.legend(figure)
    return figure


def _draw_losses(axes: Axes, label: str, colour: str, rows: pd.DataFrame) -> None:
    """Draw one curve's losses on valid with the range over seeds, the median of those on train, and crosses."""
    rows = rows.assign(loss=rows["loss"].astype(float))
    valid, train = (rows[rows["split"] == split].groupby("step")["loss"] for split in ("valid", "train"))
    middle = valid.median()
    # A line of one point would not be seen.
    band(axes, label, colour, middle, valid.min(), valid.max(), marker="o" if len(middle) == 1 else "")
    on_train = train.median().replace([np.inf, -np.inf], np.nan)
    axes.plot(on_train.index, on_train.values, color=colour, linewidth=THIN, marker="." if len(on_train) == 1 else "")
    wild = rows.loc[~np.isfinite(rows["loss"]), "step"].unique()
    not_finite(axes, colour, list(wild[:: max(1, len(wild) // 12)]))


def _loss_axis(rows: pd.DataFrame, baseline: pd.Series) -> dict:
    """Return the scale and limits of the loss: logarithmic where losses end far apart, else cut above at the start."""
    losses = rows["loss"].astype(float).replace([np.inf, -np.inf], np.nan)
    ends = losses.groupby([rows["trial"], rows["split"]]).last()
    shown = [*ends.dropna(), *baseline[:1]] if len(baseline) else [*losses.dropna()]
    if not shown:
        return {}
    low, high = min([losses.min(), *shown]), max(shown)
    if low > 0 and high > 5 * low:
        return {"yscale": "log"}
    high = max(high, min(losses.max(), 2 * high - low))  # the ends have half of the panel at least
    margin = max(0.05 * (high - low), 0.02 * abs(high))
    return {"ylim": (low - margin, high + margin)}
