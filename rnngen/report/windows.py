"""The window of learning rates in which a task is solved: success against the rate, and how wide it is in decades.

One rate says little of a cell, since another cell may want another; the reported object is the whole window. All rates
have the same number of updates.
"""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnngen.plotting.figure import Look, NothingToDraw, check_readable, figure
from rnngen.plotting.style import band, literal
from rnngen.report.tables import wilson
from rnngen.runs.run import Run
from rnngen.runs.settings import curves
from rnngen.runs.sweep import Sweep
from rnngen.storage.dotted import lower_is_better
from rnngen.storage.folder import TRAINED

RATE = "optim.learning_rate"
SHARE = 0.5  # of the seeds that must have solved the task at a rate of the window
MOST_BANDS = 3  # of a panel: more of these intervals on one another hide the curves
BELOW = 0.14  # between the curves and the bars below them, and between these


@figure(
    "Learning-rate window",
    "Share of seeds that solved the task against the learning rate; bands, of up to three curves: Wilson's 95 % "
    "interval. Bars below: the rates around the best one, ringed, at which enough seeds solved it, with their width in "
    "decades; in a window with a plus the rates that were tried end before it does.",
)
def learning_rate_window(
    sweep: Sweep, look: Look, *, share: float = SHARE, metric: str = "", at: float | None = None
) -> Figure:
    """Draw the share of seeds that solved the task against the learning rate, a band a cell, and each cell's window.

    Args:
      share: as in `learning_rate_windows`.
      metric: as in `learning_rate_windows`.
      at: as in `learning_rate_windows`.
    """
    _check_share(share)
    rates = _by_rate(sweep, metric, at)
    panels = list(dict.fromkeys(rates["panel"]))
    rates, colour = look.curves(rates)
    check_readable(len(panels), len(colour))
    said = "share of seeds that solved the task" if not metric else f"share of seeds whose {metric} reached {at:g}"
    figure, grid = look.wrapped_panels(panels, min(len(panels), 4), said, width=3.6, height=3.0)
    for axes, panel in zip(grid, panels, strict=True):
        groups = list(rates[rates["panel"] == panel].groupby("curve", sort=False))
        for place, (label, group) in enumerate(groups, start=1):
            shown = group if len(groups) <= MOST_BANDS else group.assign(low=group["share"], high=group["share"])
            _draw(axes, shown, str(label), colour[str(label)], -BELOW * place, _window(group, share))
        axes.set(xscale="log", xlabel="learning rate", ylim=(-BELOW * (len(groups) + 0.5), 1.05))
        axes.set(yticks=np.linspace(0, 1, 6), title=literal(panel) or None)
    look.legend(figure)
    return figure


def learning_rate_windows(
    records: Run | Sweep, *, share: float = SHARE, metric: str = "", at: float | None = None
) -> pd.DataFrame:
    """Make the table of learning-rate windows.

    The best rate is that with the largest share of seeds that solved the task, of several the one of the least median
    test loss. Its window is the unbroken row of rates around it at which at least `share` of the seeds did.

    Args:
      records: what `rnngen.open` gives, of a sweep over `optim.learning_rate`.
      share: of the seeds, above 0 and at most 1.
      metric: of the test split, that is to reach `at`: a loss or an error from above, any other from below; "": what
        the task calls solved.
      at: the value; with `metric` alone.

    Returns:
      A row a setting: `panel` and `curve`, its name as in figures; the number of `rates`, and the least number of
      `seeds`; `best_rate` with its `best_share` and `best_loss`, the median test loss; `low`, `high` and `decades` of
      the window, log10(high / low), which is 0 for one rate and NaN where no rate has enough seeds; `within`: False
      where the window meets an end of the rates that were tried, so that it may be wider.

    Raises:
      NothingToDraw: a setting has fewer than two rates, or no run has ended yet.
      ValueError: share is out of range, or one of metric and at is missing.
    """
    _check_share(share)
    groups = _by_rate(records.as_sweep(), metric, at).groupby(["panel", "curve"], sort=False)
    rows = [{"panel": panel, "curve": curve} | _window(group, share) for (panel, curve), group in groups]
    return pd.DataFrame(rows)


def _by_rate(sweep: Sweep, metric: str, at: float | None) -> pd.DataFrame:
    """Return a row a setting and rate, rates ascending: the number of seeds, share with its interval, and loss."""
    if bool(metric) != (at is not None):
        raise ValueError(f"metric and at belong together, got {metric!r} and {at}")
    rows = _runs(sweep, metric, at)
    found = []
    for (panel, curve), group in rows.groupby(["panel", "curve"], sort=False):
        if group[RATE].nunique() < 2:
            raise NothingToDraw(f"{sweep.path}: {curve or panel} has one {RATE}, and a window needs two at least")
        for rate, seeds in group.groupby(RATE):
            low, high = wilson(int(seeds["solved"].sum()), len(seeds))
            found.append({"panel": panel, "curve": curve, "rate": rate, "seeds": len(seeds),
                          "share": seeds["solved"].mean(), "low": low, "high": high,
                          "loss": seeds["loss"].fillna(math.inf).median()})  # fmt: skip
    return pd.DataFrame(found)


def _runs(sweep: Sweep, metric: str, at: float | None) -> pd.DataFrame:
    """Return a row a run that trained to an end: its setting, rate, test loss, and whether it solved the task."""
    if RATE not in sweep.axes or sweep.axes[RATE].nunique() < 2:
        raise NothingToDraw(f"{sweep.path} has one {RATE}, and a window needs two at least: sweep over it")
    column = f"metrics.test.{metric or 'loss'}"
    results = sweep.results.set_index("trial")
    results = results[results["status"].isin(TRAINED)] if column in results else results[:0]
    if not len(results):
        raise NothingToDraw(f"{sweep.path} has no run with {column} yet")
    others = [name for name in sweep.settings if name != RATE]
    named = curves(sweep.axes, others) if others else pd.DataFrame({"curve": results["config.cell.name"], "panel": ""})
    solved = results["solved"].astype(bool) if at is None else _reached(results[column].astype(float), metric, at)
    loss = results.get("metrics.test.loss", pd.Series(math.nan, results.index)).astype(float)
    rows = pd.DataFrame({"solved": solved, "loss": loss, RATE: sweep.axes[RATE].reindex(results.index).astype(float)})
    return rows.join(named)


def _reached(values: pd.Series, metric: str, at: float) -> pd.Series:
    """Return True where a metric reached a value, which NaN does not."""
    return values <= at if lower_is_better(metric) else values >= at


def _window(rates: pd.DataFrame, share: float) -> dict[str, object]:
    """Find the best of the rates of a setting, which are ascending, and the window around it."""
    rates = rates.reset_index(drop=True)
    best = int(rates.sort_values(["share", "loss"], ascending=[False, True], kind="stable").index[0])
    enough = (rates["share"] >= share).tolist()
    low = high = best
    while low > 0 and enough[low - 1]:
        low -= 1
    while high + 1 < len(rates) and enough[high + 1]:
        high += 1
    ends = (rates["rate"][low], rates["rate"][high]) if enough[best] else (math.nan, math.nan)
    return {
        "rates": len(rates),
        "seeds": int(rates["seeds"].min()),
        "best_rate": rates["rate"][best],
        "best_share": rates["share"][best],
        "best_loss": rates["loss"][best],
        "low": ends[0],
        "high": ends[1],
        "decades": math.log10(ends[1] / ends[0]),
        "within": enough[best] and low > 0 and high + 1 < len(rates),
    }


def _draw(axes: Axes, rates: pd.DataFrame, label: str, colour: str, below: float, window: dict) -> None:
    by_rate = rates.set_index("rate")
    band(axes, label, colour, by_rate["share"], by_rate["low"], by_rate["high"], marker="o", markersize=3)
    low, high, said = window["low"], window["high"], "no window"
    if math.isnan(low):
        low, high = rates["rate"].min(), rates["rate"].max()
    else:
        said = f"{window['decades']:.1f}{'' if window['within'] else '+'} decades, best at {window['best_rate']:g}"
        axes.plot([low, high], [below, below], color=colour, linewidth=3, solid_capstyle="butt")
        axes.plot(window["best_rate"], window["best_share"], "o", color=colour, markersize=9, fillstyle="none")
    middle = math.sqrt(low * high), below
    axes.annotate(said, middle, (0, 3), textcoords="offset points", ha="center", fontsize=7, color=colour)


def _check_share(share: float) -> None:
    if not 0 < share <= 1:
        raise ValueError(f"share must be above 0 and at most 1, got {share}")
