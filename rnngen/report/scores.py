"""Figures of what a sweep's trials reached: success and loss against a number, and memory horizon beside success."""

import os

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnngen.records import TRAINED, load, short
from rnngen.report.figures import diagnosed
from rnngen.report.labels import curve_axis, literal, moments, setting_names, together
from rnngen.report.style import band, colours, legend, panels, styled
from rnngen.report.tables import settings, wilson

MOST_CURVES = 12  # that can be told apart


@styled
def success_rates(folder: str | os.PathLike) -> Figure | None:
    """Share of the seeds that solved the task against the sweep's numeric axis, with Wilson's 95 % interval.

    One panel a value of the cell's axis where there are others beside it. Open markers: some runs met the cap on
    updates, and might have gone on to solve the task. None where no axis has at least three numbers, or there are more
    than `MOST_CURVES` panels, or curves in one.
    """
    found = _scored(folder)
    if found is None:
        return None
    results, x, names = found
    first = curve_axis(names) if names else ""
    split = len(names) > 1
    results["panel"] = literal(results[first].astype(str)) if split else ""
    results["curve"] = _together(results, [n for n in names if n != first] if split else names)
    if max(results["panel"].nunique(), results.groupby("panel")["curve"].nunique().max()) > MOST_CURVES:
        return None
    titles, planned = list(dict.fromkeys(results["panel"])), settings(folder)[0][x]
    room = 0.06 * (planned.max() - planned.min())
    figure, grid = panels(1, len(titles), width=2.1 if split else 3.4, sharey=True)
    colour = colours(results["curve"])
    for axes, title in zip(grid[0], titles, strict=True):
        here = results[results["panel"] == title]
        for number, (label, group) in enumerate(here.groupby("curve", sort=False)):
            _draw_rates(axes, group, x, str(label), colour[str(label)], 0.2 * room * number)
        # All that the sweep has planned, also where it has not come to it yet.
        axes.set(xlim=(planned.min() - room, planned.max() + room), ylim=(-0.05, 1.05))
        axes.set(xlabel="length (steps)" if short(x) == "length" else _axis_name(x), title=title or None)
        legend(axes, loc="best", fontsize=7)
    grid[0][0].set_ylabel("share of seeds that solved the task")
    return figure


@styled
def losses(folder: str | os.PathLike) -> Figure | None:
    """Test loss against the sweep's numeric axis: a point a seed, a line through medians, and the loss without memory.

    None where no axis has at least three numbers, or there are more than `MOST_CURVES` curves.
    """
    found = _scored(folder)
    if found is None:
        return None
    results, x, names = found
    results["curve"] = _together(results, names)
    if results["curve"].nunique() > MOST_CURVES:
        return None
    colour = colours(results["curve"])
    figure, grid = panels(1, 1, width=3.8, height=2.8)
    axes, places = grid[0][0], {value: place for place, value in enumerate(sorted(results[x].unique()))}
    groups = list(results.groupby("curve", sort=False))
    for number, (label, group) in enumerate(groups):
        at = group[x].map(places) + 0.12 * (number - (len(groups) - 1) / 2)
        axes.plot(at, group["metrics.test.loss"], "o", color=colour[str(label)], alpha=0.5, markeredgewidth=0)
        medians = group.groupby(x)["metrics.test.loss"].median()
        axes.plot(sorted(at.unique()), medians, color=colour[str(label)], label=str(label))
    _draw_baselines(axes, results, x, places, colour)
    axes.set_xticks(list(places.values()), [f"{value:g}" for value in places])
    axes.set(yscale="log", xlabel=_axis_name(x), ylabel="test loss")
    legend(axes, fontsize=7)
    return figure


@styled
def length_generalisation(folder: str | os.PathLike) -> Figure | None:
    """Accuracy at other lengths than those trained on, after training: the median over seeds, the range shaded.

    None where it was not recorded.
    """
    rows = diagnosed(folder, "length_generalisation")
    if rows.empty:
        return None
    rows = moments(folder, rows)["after training"]
    named, (figure, ((axes,),)) = literal(setting_names(folder)), panels(1, 1, width=4.2, height=2.6)
    rows = rows.assign(setting=named.reindex(rows["trial"]).values)
    colour = colours(rows["setting"])
    for label, group in rows.groupby("setting", sort=False):
        pairs = zip(group["lengths"], group["metrics"], strict=True)
        seeds = pd.DataFrame([dict(zip(at, of["accuracy"], strict=False)) for at, of in pairs])
        band(axes, str(label), colour[str(label)], seeds.median(), seeds.min(), seeds.max(), marker="o")
    axes.set(xscale="log", ylim=(0, 1.05), xlabel="length of the test sequences (steps)", ylabel="accuracy")
    legend(axes)
    return figure


@styled
def horizons(folder: str | os.PathLike) -> Figure | None:
    """Half-life of the gradient before and after training, and the rate of success, a row a setting.

    None where either was not recorded, or where there are fewer than two or more than forty settings.
    """
    results, named = load(folder, "results").set_index("trial"), literal(setting_names(folder))
    settled = list(dict.fromkeys(named))
    if "half_life.final" not in results or not 2 <= len(settled) <= 40:
        return None
    results = results[results["status"].isin(TRAINED)].assign(setting=named)
    figure, (grid,) = panels(1, 2, width=3.4, height=0.22 * len(settled) + 0.5, sharey=True, width_ratios=(2, 1))
    top = 1e4
    for row, setting in enumerate(settled):
        group = results[results["setting"] == setting]
        if len(group):
            _draw_horizon(grid[0], group, row, top)
            _draw_rate(grid[1], group, row)
    grid[0].set(
        xscale="log", xlabel="half-life of the gradient (steps; triangle: more than $10^4$)", xlim=(0.3, 1.6 * top)
    )
    grid[0].set_yticks(range(len(settled)), settled)
    grid[0].invert_yaxis()
    grid[1].set(xlabel="share of seeds that solved it", xlim=(-0.05, 1.05))
    grid[0].plot([], [], "o", color="0.6", fillstyle="none", label="before training")
    grid[0].plot([], [], "o", color="0.2", label="after (line: range over seeds)")
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def _scored(folder) -> tuple[pd.DataFrame, str, list[str]] | None:
    """Results with a column a setting, the numeric axis to draw against, and the names of the other settings."""
    frame, names = settings(folder)
    numeric = [n for n in names if pd.api.types.is_numeric_dtype(frame[n]) and frame[n].nunique() >= 3]
    results = load(folder, "results").set_index("trial")
    if not numeric or "metrics.test.loss" not in results:
        return None
    x = numeric[-1]
    shown = [c for c in ("status", "solved", "reached_at", "step", "baseline", "metrics.test.loss") if c in results]
    joined = frame[names].join(results[shown])
    return joined[joined["status"].isin(TRAINED)].copy(), x, [n for n in names if n != x]


def _together(results: pd.DataFrame, names: list[str]) -> pd.Series:
    return literal(pd.Series(together(results, names), results.index, dtype=str))


def _draw_baselines(axes: Axes, results: pd.DataFrame, x: str, places: dict, colour: dict[str, str]) -> None:
    """The loss without memory: one line, or one of each curve's colour where curves are of different tasks."""
    by_curve = results.groupby(["curve", x], sort=False)["baseline"].median()
    if by_curve.groupby(x).nunique().max() <= 1:
        lines = [("0.4", by_curve.groupby(x).first())]
    else:
        lines = [(colour[str(label)], by_curve[label].sort_index()) for label in by_curve.index.unique("curve")]
    for number, (shade, line) in enumerate(lines):
        label = "without memory" if number == 0 else None
        axes.plot([places[v] for v in line.index], line, "--", color=shade, linewidth=1, label=label)


def _draw_rates(axes: Axes, group: pd.DataFrame, x: str, label: str, colour: str, shift: float) -> None:
    rows = []
    for value, seeds in group.groupby(x):
        solved = seeds["solved"].astype(bool)
        rows.append((value, solved.mean(), *wilson(int(solved.sum()), len(solved)), bool((~solved).any())))
    at, rate, low, high, censored = (np.array(column, float) for column in zip(*rows, strict=True))
    at = at + shift
    axes.errorbar(
        at, rate, np.stack([rate - low, high - rate]), color=colour, linewidth=1.2, elinewidth=0.6, label=label
    )
    for hollow, fill in ((False, colour), (True, "white")):
        chosen = censored.astype(bool) == hollow
        axes.plot(at[chosen], rate[chosen], "o", color=colour, markerfacecolor=fill)


def _draw_horizon(axes: Axes, group: pd.DataFrame, row: int, top: float) -> None:
    before, after = (group[f"half_life.{when}"].astype(float) for when in ("initial", "final"))
    after = after.fillna(0.0)
    low, middle, high = (min(float(v), top) for v in (after.min(), after.median(), after.max()))
    axes.plot([low, high], [row, row], color="0.2", linewidth=1)
    axes.plot(min(before.median(), top), row, "o", color="0.6", fillstyle="none")
    axes.plot(middle, row, ">" if after.median() >= top else "o", color="0.2")


def _draw_rate(axes: Axes, group: pd.DataFrame, row: int) -> None:
    solved = group["solved"].astype(bool)
    low, high = wilson(int(solved.sum()), len(solved))
    axes.plot([low, high], [row, row], color="0.2", linewidth=1)
    axes.plot(solved.mean(), row, "o", color="0.2")


def _axis_name(name: str) -> str:
    shown = short(name).replace("_", " ").replace("$", r"\$")
    return "length of the sequences (steps)" if shown == "length" else shown
