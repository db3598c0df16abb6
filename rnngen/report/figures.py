"""Figures of a sweep, from its records alone: gradient norms against lag or time, and learning curves."""

import os
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from rnngen.records import TRAINED, load, short
from rnngen.report.tables import settings

# Okabe and Ito's colours, told apart by everyone; the three classic cells always have the same ones.
COLOURS = {"rnn": "#D55E00", "gru": "#009E73", "lstm": "#0072B2"}
OTHERS = ("#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
FLOAT32_FLOOR = float(np.log10(np.finfo(np.float32).tiny))


def gradient_norms(folder: str | os.PathLike, *, leaf: str = "all", against: str = "lag") -> Figure | None:
    """The norm of the loss's gradient in the carry, before and after training; None where none was recorded.

    One row a panel setting, one curve a cell (or whatever the sweep's first axis is): the median over
    seeds of each seed's median over examples, with the range over seeds shaded.
    leaf: a leaf of the carry as in `layer_0/h`, or "all". against: "lag", or "t" for tasks whose loss is
    read at the last step.
    """
    rows = _labelled(folder, "diagnoses")
    if rows.empty:
        return None
    results = load(folder, "results")
    trained = results["trial"][results["status"].isin(TRAINED)]
    panels = list(dict.fromkeys(rows["panel"]))
    figure, grid = plt.subplots(
        len(panels), 2, figsize=(9, 0.6 + 2.9 * len(panels)), squeeze=False, sharey="row", layout="constrained"
    )
    for line, panel in zip(grid, panels, strict=True):
        here = rows[rows["panel"] == panel]
        first, last = here["step"].min(), here.groupby("trial")["step"].transform("max")
        ended = here["trial"].isin(trained) & (here["step"] == last)
        moments = {"at initialisation": here[here["step"] == first], "after training": here[ended]}
        for axes, (moment, chosen) in zip(line, moments.items(), strict=True):
            _draw_norms(axes, chosen, leaf, against)
            axes.set_title(f"{panel}, {moment}" if panel else moment, fontsize=10)
        _decorate_norms(line, leaf, against)
    grid[0][0].legend(frameon=False, fontsize=9)
    return figure


def learning_curves(folder: str | os.PathLike) -> Figure | None:
    """Validation loss against training steps, with that of the best predictor without memory.

    None where nothing was recorded.
    """
    rows = _labelled(folder, "metrics")
    if rows.empty:
        return None
    rows = rows[rows["split"] == "valid"]
    baselines = load(folder, "results").set_index("trial").get("baseline", pd.Series(dtype=float))
    panels = list(dict.fromkeys(rows["panel"]))
    figure, grid = plt.subplots(
        1, len(panels), figsize=(0.6 + 4.2 * len(panels), 3.4), squeeze=False, layout="constrained"
    )
    for axes, panel in zip(grid[0], panels, strict=True):
        here = rows[rows["panel"] == panel]
        for label, group in here.groupby("curve", sort=False):
            losses = group.groupby("step")["loss"]
            _band(axes, label, losses.median(), losses.min(), losses.max())
        baseline = baselines.reindex(here["trial"]).dropna()
        if len(baseline):
            axes.axhline(baseline.iloc[0], color="0.4", linestyle="--", linewidth=1, label="without memory")
        axes.set(yscale="log", xlabel="training step", title=panel or None)
    grid[0][0].set_ylabel("validation loss")
    grid[0][0].legend(frameon=False, fontsize=9)
    return figure


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write `stem.png` and `stem.svg`."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in ("png", "svg")]
    for path in paths:
        figure.savefig(path, dpi=150)
    plt.close(figure)
    return paths


def _labelled(folder: str | os.PathLike, table: str) -> pd.DataFrame:
    """Records with the labels of their `curve` and their `panel`: the first axis, and the others together."""
    frame, names = settings(folder)
    first = "cell.name" if "cell.name" in names else names[0]
    others = [name for name in names if name != first]
    labels = pd.DataFrame({"curve": frame[first].astype(str)})
    if others:
        labels["panel"] = [
            ", ".join(_words(n, v) for n, v in zip(others, row, strict=True)) for row in frame[others].values
        ]
    else:
        labels["panel"] = ""
    records = load(folder, table)
    return records if records.empty else records.merge(labels, left_on="trial", right_index=True)


def _words(name: str, value: object) -> str:
    return str(value) if name in ("task", "task.name") else f"{short(name)} {value}"


def _draw_norms(axes: Axes, rows: pd.DataFrame, leaf: str, against: str) -> None:
    for label, group in rows.groupby("curve", sort=False):
        curves = [c[leaf]["median"] for c in group["curves"] if leaf in c]
        if not curves:
            continue
        lags = max(map(len, curves))
        stacked = np.array([c + [np.nan] * (lags - len(c)) for c in curves], float)
        stacked[~np.isfinite(stacked)] = np.nan
        x = np.arange(lags) if against == "lag" else lags - np.arange(lags)
        with np.errstate(all="ignore"):
            middle, low, high = (pd.DataFrame(stacked).agg(how).set_axis(x) for how in ("median", "min", "max"))
        _band(axes, label, middle, low, high)


def _decorate_norms(line: np.ndarray, leaf: str, against: str) -> None:
    lowest = min(axes.get_ylim()[0] for axes in line)
    for axes in line:
        if lowest < FLOAT32_FLOOR:
            axes.axhline(FLOAT32_FLOOR, color="0.6", linestyle=":", linewidth=1)
            axes.annotate(
                "smallest normal float32", (0.98, FLOAT32_FLOOR), xycoords=("axes fraction", "data"), ha="right",
                va="bottom", fontsize=7, color="0.4",
            )  # fmt: skip
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"$10^{{{y:.0f}}}$"))
        axes.set_xlabel(
            "lag: steps back from the loss" if against == "lag" else "time step t (the loss is read at the last)"
        )
    letter = "carry" if leaf == "all" else leaf.split("/")[-1] + "_t"
    line[0].set_ylabel(rf"$\|\partial L / \partial {letter}\|$" if leaf != "all" else "norm of dL / d carry")


def _band(axes: Axes, label: object, middle: pd.Series, low: pd.Series, high: pd.Series) -> None:
    name = str(label)
    taken = sum(line.get_label() not in COLOURS for line in axes.get_lines())
    colour = COLOURS.get(name, OTHERS[taken % len(OTHERS)])
    axes.plot(middle.index, middle.values, color=colour, label=name, linewidth=1.6)
    axes.fill_between(middle.index, low.values, high.values, color=colour, alpha=0.18, linewidth=0)
