"""Curves of a sweep, from its records alone: gradient norms against lag or time, carry norms, learning curves."""

import os

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from rnngen.report.labels import labelled, moments
from rnngen.report.shapes import check_rows
from rnngen.report.style import band, colours, legend_above, not_finite, panels, styled
from rnngen.runs.records import load

MOST_PANELS, MOST_CURVES = 8, 12  # of a figure that anybody could read
THIN = 0.6  # points, of lines that are beside the point
FLOAT32_FLOOR = float(np.log10(np.finfo(np.float32).tiny))


@styled
def gradient_norms(folder: str | os.PathLike, *, leaf: str = "all", against: str = "lag") -> Figure | None:
    """The norm of the loss's gradient in the carry, before and after training.

    None where none was recorded, or where there are more curves or panels than anybody could read.
    One row a panel setting, one curve a cell (or whatever the sweep's first axis is): the median over
    seeds of each seed's median over examples, with the range over seeds shaded; crosses where it is no number.
    leaf: a leaf of the carry as in `layer_0/h`, or "all". against: "lag", or "t" for tasks whose loss is
    read at the last step.
    """
    rows = diagnosed(folder, "gradient_flow")
    if rows.empty or _crowded(rows):
        return None
    names, colour = list(dict.fromkeys(rows["panel"])), colours(rows["curve"])
    figure, grid = panels(len(names), 2, width=4.2, height=2.9, sharey="row")
    for line, panel in zip(grid, names, strict=True):
        for axes, (moment, chosen) in zip(line, moments(folder, rows[rows["panel"] == panel]).items(), strict=True):
            for label, group in chosen.groupby("curve", sort=False):
                curves = [c[leaf]["median"] for c in group["curves"] if leaf in c]
                draw_curves(axes, str(label), colour[str(label)], curves, reverse=against == "t")
            axes.set_title(f"{panel}, {moment}" if panel else moment)
        _decorate_norms(line, leaf, against)
    legend_above(figure)
    return figure


@styled
def carry_norms(folder: str | os.PathLike, *, leaf: str = "layer_0/h") -> Figure | None:
    """The norm of the carry at each step, and of its difference from the last; None where none was recorded."""
    rows = diagnosed(folder, "carry_norms")
    if rows.empty:
        return None
    colour, name = colours(rows["curve"]), leaf.split("/")[-1]
    labels = {"norm": rf"$\|{name}_t\|$", "to_last": rf"$\|{name}_t - {name}_T\|$"}
    figure, grid = panels(2, 2, width=4.2, height=2.6, sharex=True, sharey="row")
    for column, (moment, chosen) in enumerate(moments(folder, rows).items()):
        for axes, (what, text) in zip(grid[:, column], labels.items(), strict=True):
            for label, group in chosen.groupby("curve", sort=False):
                curves = [curve["median"] for c in group["curves"] if (curve := _leaf(c[what], leaf))]
                draw_curves(axes, str(label), colour[str(label)], curves)
            axes.set(ylabel=text if column == 0 else "", title=moment if what == "norm" else "")
    for axes in grid[-1]:
        axes.set_xlabel("time step t")
    legend_above(figure)
    return figure


@styled
def learning_curves(folder: str | os.PathLike) -> Figure | None:
    """Loss on valid, thin on train, against training steps, with that of the best predictor without memory.

    The limits show where every curve ends, and crosses where a loss is no finite number. None where nothing was
    recorded, or where there are more curves or panels than anybody could read.
    """
    rows = labelled(folder, "metrics")
    rows = rows if rows.empty else rows[rows["split"].isin(("train", "valid"))]
    if rows.empty or _crowded(rows):
        return None
    colour = colours(rows["curve"])
    baselines = load(folder, "results").set_index("trial").get("baseline", pd.Series(dtype=float))
    names = list(dict.fromkeys(rows["panel"]))
    columns = min(len(names), 4)
    figure, grid = panels(-(-len(names) // columns), columns, width=3.0, height=2.6)
    for axes, panel in zip(grid.flat, names, strict=False):
        here = rows[rows["panel"] == panel]
        for label, group in here.groupby("curve", sort=False):
            _draw_losses(axes, str(label), colour[str(label)], group)
        baseline = baselines.reindex(here["trial"]).dropna()
        if len(baseline):
            axes.axhline(baseline.iloc[0], color="0.4", linestyle="--", linewidth=1, label="without memory")
        axes.set(xlabel="training step", title=panel or None, **_loss_axis(here, baseline))
    for axes in list(grid.flat)[len(names) :]:
        axes.set_axis_off()
    for line in grid:
        line[0].set_ylabel("validation loss")
    if (rows["split"] == "train").any():
        grid[0][0].plot([], [], color="0.4", linewidth=THIN, label="on train")
    legend_above(figure)
    return figure


def _draw_losses(axes: Axes, label: str, colour: str, rows: pd.DataFrame) -> None:
    """One curve's losses on valid with the range over seeds, the median of those on train, and crosses."""
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
    """The scale, logarithmic where losses end far apart; else what is above all ends at the start is cut off."""
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


def diagnosed(folder: str | os.PathLike, what: str) -> pd.DataFrame:
    """The rows of one diagnosis, labelled; empty where it was not made. Raises DamagedFile for one made otherwise."""
    rows = labelled(folder, "diagnoses")
    rows = rows if rows.empty else rows[rows["what"] == what]
    check_rows(what, rows)
    return rows


def draw_curves(axes: Axes, label: str, colour: str, curves: list[list[float]], reverse: bool = False) -> None:
    """The median over curves, one a seed, against their index, with the range shaded."""
    if not curves:
        return
    length = max(map(len, curves))
    stacked = np.array([c + [np.nan] * (length - len(c)) for c in curves], float)
    x = length - np.arange(length) if reverse else np.arange(length)
    absent = np.isnan(stacked)
    # Infinities stand for gradients that are no numbers, and count as larger than any other.
    ordered = pd.DataFrame(np.where(np.isneginf(stacked), np.nan, stacked))
    middle, low, high = (getattr(ordered, how)().set_axis(x) for how in ("median", "min", "max"))
    band(axes, label, colour, middle, low, high)
    wild = np.isposinf(stacked).any(axis=0) & ~absent.all(axis=0)
    not_finite(axes, colour, list(x[wild][:: max(1, int(wild.sum()) // 12)]))


def _crowded(rows: pd.DataFrame) -> bool:
    return rows["panel"].nunique() > MOST_PANELS or rows["curve"].nunique() > MOST_CURVES


def _leaf(of: dict, leaf: str) -> dict | None:
    """A leaf's curve, None where there is no such leaf; a cell whose carry is one array calls its layer so."""
    return of.get(leaf) or of.get(leaf.split("/")[0])


def _decorate_norms(line: np.ndarray, leaf: str, against: str) -> None:
    lowest = min(axes.get_ylim()[0] for axes in line)
    for axes in line:
        if lowest < FLOAT32_FLOOR:
            axes.axhline(FLOAT32_FLOOR, color="0.6", linestyle=":", linewidth=1)
            axes.annotate(
                "smallest normal float32", (0.98, FLOAT32_FLOOR), xycoords=("axes fraction", "data"), ha="right",
                va="bottom", fontsize=7, color="0.4",
            )  # fmt: skip
        powers_of_ten(axes)
        axes.set_xlabel(
            "lag: steps back from the loss" if against == "lag" else "time step t (the loss is read at the last)"
        )
    letter = "carry" if leaf == "all" else leaf.split("/")[-1] + "_t"
    line[0].set_ylabel(rf"$\|\partial L / \partial {letter}\|$" if leaf != "all" else "norm of dL / d carry")


def powers_of_ten(axes: Axes) -> None:
    """Ticks of a y axis that holds logarithms to base ten."""
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"$10^{{{y:.0f}}}$"))
