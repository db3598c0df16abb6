"""Figures of the outcomes of a sweep: success and loss against a number, and memory horizon beside success."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Transform

from rnngen.plotting.figure import MOST_CURVES, Look, NothingToDraw, check_readable, figure
from rnngen.plotting.style import beside, literal, not_finite, number_axis
from rnngen.report.columns import is_numeric
from rnngen.report.tables import wilson
from rnngen.runs.settings import curve_axis, together, words
from rnngen.runs.sweep import Sweep
from rnngen.storage.dotted import short
from rnngen.storage.folder import TRAINED

SHOWN = (0.3, 1e4)  # steps, of half-lives
MOST_ROWS = 40


@figure(
    "Success",
    "Share of seeds that solved the task, bars: Wilson's 95 % interval. Open markers: some runs met their cap on "
    "updates and might have gone on to solve it.",
)
def success_rates(sweep: Sweep, look: Look) -> Figure:
    """Draw the share of seeds that solved the task against the sweep's numeric axis, with Wilson's 95 % interval.

    One panel a value of the cell's axis where there are others beside it. Open markers: some runs met the cap on
    updates, and might have gone on to solve the task.
    """
    results, x, names = _scored(sweep)
    first = curve_axis(names) if names else ""
    split = len(names) > 1
    results["panel"] = words(results[first]).map(literal) if split else ""
    results["curve"] = _together(results, [n for n in names if n != first] if split else names)
    titles = list(dict.fromkeys(results["panel"]))
    results, colour = look.curves(results)
    check_readable(len(titles), results.groupby("panel")["curve"].nunique().max(), most_panels=MOST_CURVES)
    planned = sweep.axes[x].dropna()
    figure, grid = look.panels(1, len(titles), width=2.1 if split else 3.4, sharey=True)
    for axes, title in zip(grid[0], titles, strict=True):
        groups = list(results[results["panel"] == title].groupby("curve", sort=False))
        # All planned values, also those that are not trained yet.
        number_axis(axes, planned)
        axes.update_datalim([(planned.min(), 0.0), (planned.max(), 1.0)])
        for number, (label, group) in enumerate(groups):
            _draw_rates(axes, group, x, str(label), colour[str(label)], beside(axes, number, len(groups)))
        axes.margins(x=0.1)
        axes.set(ylim=(-0.05, 1.05), title=title or None)
        axes.set_xlabel("length (steps)" if short(x) == "length" else _axis_name(x))
    grid[0][0].set_ylabel("share of seeds that solved the task")
    look.legend(figure)
    return figure


@figure(
    "Test loss",
    "A point a seed, lines through the medians; dashed: the loss of the best memoryless predictor.",
)
def losses(sweep: Sweep, look: Look) -> Figure:
    """Draw the test loss against the sweep's numeric axis: a point a seed, a line through medians, the baseline."""
    results, x, names = _scored(sweep)
    results["curve"] = _together(results, names)
    results, colour = look.curves(results)
    check_readable(1, len(colour))
    figure, ((axes,),) = look.panels(1, 1, width=3.8, height=2.8)
    number_axis(axes, results[x])
    groups = list(results.groupby("curve", sort=False))
    for number, (label, group) in enumerate(groups):
        _draw_points(axes, group, x, str(label), colour[str(label)], beside(axes, number, len(groups)))
    _draw_baselines(axes, results, x, colour)
    axes.margins(x=0.08)
    axes.set(xlabel=_axis_name(x), ylabel="test loss")
    if axes.dataLim.y0 > 0:
        axes.set_yscale("log")
    look.legend(figure)
    return figure


@figure(
    "Memory horizon and success",
    "Left, the half-life of the gradient: open circles before training, full ones after it (medians), lines from "
    "the least to the greatest seed; triangles: beyond the axis. Right, the share of seeds that solved the task "
    "with Wilson's 95 % interval.",
)
def horizons(sweep: Sweep, look: Look) -> Figure:
    """Draw the half-life of the gradient before and after training, and the rate of success, a row a setting."""
    results = sweep.outcomes.assign(setting=sweep.setting_names)
    if "half_life.final" not in results:
        raise NothingToDraw(f"{sweep.path} has no half-lives: train with config.diagnose.what = ('gradient_flow',)")
    all_rows, colour = look.curves(results, "setting")
    settled = list(colour)
    if not 2 <= len(settled) <= MOST_ROWS:
        raise NothingToDraw(f"{len(settled)} settings: a row each needs from 2 to {MOST_ROWS} of them")
    results = all_rows[all_rows["status"].isin(TRAINED)]
    figure, (grid,) = look.panels(1, 2, width=3.4, height=0.22 * len(settled) + 0.7, sharey=True, width_ratios=(2, 1))
    for row, setting in enumerate(settled):
        group = results[results["setting"] == setting]
        if len(group):
            _draw_horizon(grid[0], group, row)
            _draw_rate(grid[1], group, row)
    low, high = SHOWN
    grid[0].set(
        xscale="log", xlabel="half-life of the gradient (steps; triangles: beyond)", xlim=(low / 1.6, high * 1.6)
    )
    grid[0].set_yticks(range(len(settled)), settled)
    grid[0].set_ylim(len(settled) - 0.4, -0.6)
    grid[1].set(xlabel="share of seeds that solved it", xlim=(-0.05, 1.05))
    grid[0].plot([], [], "o", color="0.6", fillstyle="none", label="before training")
    grid[0].plot([], [], "o", color="0.2", label="after (line: range over seeds)")
    if look.ax is None:
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    else:
        grid[0].legend()
    return figure


def _scored(sweep: Sweep) -> tuple[pd.DataFrame, str, list[str]]:
    """Return results with a column a setting, the numeric axis to draw against, and the names of the other settings."""
    frame, names, results = sweep.axes, sweep.settings, sweep.outcomes
    numeric = [n for n in names if is_numeric(frame[n]) and frame[n].nunique() >= 3]
    if not numeric or "metrics.test.loss" not in results:
        raise NothingToDraw(f"{sweep.path} has no axis with three numbers, or no test loss yet")
    x = numeric[-1]
    shown = [c for c in ("status", "solved", "reached_at", "step", "baseline", "metrics.test.loss") if c in results]
    joined = frame[names].join(results[shown])
    trained = joined["status"].isin(TRAINED) & joined[x].notna()
    if not trained.any():
        raise NothingToDraw(f"{sweep.path} has no trial that trained to an end")
    return joined[trained].copy(), x, [n for n in names if n != x]


def _together(results: pd.DataFrame, names: list[str]) -> pd.Series:
    return pd.Series(together(results, names), results.index, dtype=str)


def _draw_baselines(axes: Axes, results: pd.DataFrame, x: str, colour: dict[str, str]) -> None:
    """Draw the memoryless baseline: one line, or one of each curve's colour where curves are of different tasks."""
    by_curve = results.groupby(["curve", x], sort=False)["baseline"].median()
    if by_curve.groupby(x).nunique().max() <= 1:
        lines = [("0.4", by_curve.groupby(x).first())]
    else:
        lines = [(colour[str(label)], by_curve[label].sort_index()) for label in by_curve.index.unique("curve")]
    for number, (shade, line) in enumerate(lines):
        label = "memoryless" if number == 0 else None
        axes.plot(line.index, line, "--", color=shade, linewidth=1, label=label)


def _draw_points(axes: Axes, group: pd.DataFrame, x: str, label: str, colour: str, place: Transform) -> None:
    losses = group["metrics.test.loss"].astype(float)
    finite, medians = np.isfinite(losses), losses.groupby(group[x]).median()
    axes.update_datalim(np.stack([group[x][finite], losses[finite]], axis=1))
    axes.plot(group[x], losses, "o", color=colour, alpha=0.5, markeredgewidth=0, transform=place)
    axes.plot(medians.index, medians, color=colour, label=label, transform=place)
    not_finite(axes, colour, group[x][~finite].tolist())


def _draw_rates(axes: Axes, group: pd.DataFrame, x: str, label: str, colour: str, place: Transform) -> None:
    rows = []
    for value, seeds in group.groupby(x):
        solved = seeds["solved"].astype(bool)
        rows.append((value, solved.mean(), *wilson(int(solved.sum()), len(solved)), bool((~solved).any())))
    at, rate, low, high, censored = (np.array(column, float) for column in zip(*rows, strict=True))
    intervals = np.stack([rate - low, high - rate])
    axes.errorbar(
        at, rate, intervals, color=colour, linewidth=1.2, elinewidth=0.6, capsize=1.5, capthick=0.6, label=label,
        transform=place,
    )  # fmt: skip
    for hollow, fill in ((False, colour), (True, "white")):
        chosen = censored.astype(bool) == hollow
        axes.plot(at[chosen], rate[chosen], "o", color=colour, markerfacecolor=fill, transform=place)


def _draw_horizon(axes: Axes, group: pd.DataFrame, row: int) -> None:
    # Where a gradient is exactly zero after a step there is no half-life: less than any.
    before, after = (group[f"half_life.{when}"].astype(float).fillna(0.0) for when in ("initial", "final"))
    low, middle, high = np.clip([after.min(), after.median(), after.max()], *SHOWN)
    axes.plot([low, high], [row, row], color="0.2", linewidth=1)
    axes.plot(np.clip(before.median(), *SHOWN), row, "o", color="0.6", fillstyle="none")
    axes.plot(middle, row, {SHOWN[0]: "<", SHOWN[1]: ">"}.get(middle, "o"), color="0.2")


def _draw_rate(axes: Axes, group: pd.DataFrame, row: int) -> None:
    solved = group["solved"].astype(bool)
    low, high = wilson(int(solved.sum()), len(solved))
    axes.plot([low, high], [row, row], color="0.2", linewidth=1)
    axes.plot(solved.mean(), row, "o", color="0.2")


def _axis_name(name: str) -> str:
    shown = literal(short(name).replace("_", " "))
    return "length of the sequences (steps)" if shown == "length" else shown
