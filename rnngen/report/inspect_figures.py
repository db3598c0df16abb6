"""Figures of the analysis of a run, each drawn from a part of its `inspection.json`."""

from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnngen.plotting.figure import DrawnFigure, captioned
from rnngen.plotting.style import legend, panels, unit_circle

BLUE, GREY, RED, GREEN = "#0072B2", "#999999", "#D55E00", "#009E73"
MOST = 150  # steps of a unit's curve


@captioned(
    "Units that tell a property of the input",
    "Blue, the unit's activation along the first example; grey, the property that it goes with best.",
)
def inspect_units(record: dict) -> Figure | None:
    """Draw the chosen units with their properties, where there is no text to show them on."""
    found = record["units"]["found"]
    if not found or record["units"]["text"] is not None:
        return None
    figure, grid = panels(len(found), 1, width=6.4, height=0.8, sharex=True)
    for (axes,), unit in zip(grid, found, strict=True):
        axes.plot(_scaled(unit["value"][:MOST]), color=GREY, linewidth=0.9, drawstyle="steps-post")
        axes.plot(_scaled(unit["activation"][:MOST]), color=BLUE)
        axes.set_title(f"{unit['unit']} and {unit['property']}: {unit['score']:+.2f}", loc="left", fontsize="small")
        axes.set(yticks=[])
    grid[-1][0].set_xlabel("step")
    return figure


def _scaled(values: list[float]) -> np.ndarray:
    array = np.asarray(values, float)
    return (array - array.min()) / max(float(np.ptp(array)), 1e-12)


@captioned(
    "What each prediction hangs on",
    "Norm of the gradient of the loss at one step in the input of another, as a share of the largest in "
    "its row: the greater, the more the prediction hangs on it.",
)
def inspect_connectivity(record: dict) -> Figure | None:
    """Draw a row a prediction, a column an input; bars where there is one prediction."""
    of = record["connectivity"]
    shares, first = np.asarray(of["shares"]), of["first"]
    if not shares.size:
        return None
    figure, ((axes,),) = panels(1, 1, width=6.4, height=1.8 if len(shares) == 1 else 4.2)
    if len(shares) == 1:
        axes.bar(first + np.arange(shares.shape[1]), shares[0], color=BLUE, width=0.8)
        axes.set(xlabel="step of the input", ylabel=f"share, of the\nprediction at {of['predictions'][0]}")
        return figure
    rows = of["predictions"]
    edges = [rows[0] - 0.5, *((a + b) / 2 for a, b in pairwise(rows)), rows[-1] + 0.5]
    columns = first - 0.5 + np.arange(shares.shape[1] + 1)
    drawn = axes.pcolormesh(
        columns, edges, np.maximum(np.log10(np.maximum(shares, 1e-9)), -3), cmap="Blues", rasterized=True
    )
    bar = figure.colorbar(drawn, ax=axes, ticks=[-3, -2, -1, 0])
    bar.ax.set_yticklabels(["0.001 or less", "0.01", "0.1", "1"])
    axes.set(xlabel="step of the input", ylabel="step of the prediction")
    axes.invert_yaxis()
    return figure


@captioned(
    "How long gates are open and shut",
    "A point a unit: the shares of steps that it spends with the gate open (above 0.9) and shut (below 0.1).",
)
def inspect_gates(record: dict) -> Figure | None:
    """Draw the shares of time that units spend with each gate shut and open (Karpathy et al. 2015)."""
    gates = record["gates"]["gates"]
    if not gates:
        return None
    figure, (line,) = panels(1, len(gates), width=1.9, height=2.0, sharex=True, sharey=True)
    for axes, (name, of) in zip(line, gates.items(), strict=True):
        axes.plot(of["right"], of["left"], ".", color=BLUE, markersize=3, alpha=0.5)
        axes.plot([0, 1], [1, 0], color="0.7", linewidth=0.6)
        axes.set(title=name.replace("$", r"\$"), xlabel="share open")
    line[0].set_ylabel("share shut")
    return figure


@captioned(
    "Eigenvalues",
    "Of the recurrent kernel's block of each gate, and of the Jacobian of single steps of this input, "
    "with the unit circle: inside it a direction decays, outside it grows.",
)
def inspect_eigenvalues(record: dict) -> Figure | None:
    """Draw the eigenvalues of the kernels' blocks, and of the step's Jacobian at the chosen steps."""
    of = record["eigenvalues"]
    shown = {f"kernel, {name.replace('/', ', block ')}": values for name, values in of["kernel"].items()}
    shown |= {f"Jacobian, step {step}": values for step, values in zip(of["steps"], of["jacobian"], strict=True)}
    if not shown:
        return None
    columns = min(4, len(shown))
    figure, grid = panels(-(-len(shown) // columns), columns, width=2.0, height=2.0)
    for axes, (name, values) in zip(grid.flat, shown.items(), strict=False):
        axes.plot(np.ravel(values["real"]), np.ravel(values["imag"]), ".", color=BLUE, markersize=3)
        unit_circle(axes)
        axes.set_title(name, fontsize="small")
    for axes in list(grid.flat)[len(shown) :]:
        axes.set_visible(False)
    return figure


@captioned(
    "Gradient flow on this input",
    "Norm of the loss's gradient in the carry against lag, from several steps with a loss: medians over "
    "examples and sources, bands from 10 to 90 %.",
)
def inspect_flow(record: dict) -> Figure | None:
    """Draw the gradient norm over all leaves, and that of each leaf."""
    curves = record["flow"]["curves"]
    if not len(curves["all"]["median"]):
        return None
    figure, ((axes,),) = panels(1, 1, width=4.6, height=2.6)
    colours = dict(zip(curves, [BLUE, RED, GREEN, "#CC79A7", "#E69F00", "#56B4E9"], strict=False))
    for name, curve in curves.items():
        if name in colours and (name == "all" or len(curves) > 2):
            _curve(axes, name, colours[name], curve, shaded=name == "all")
    half = record["flow"]["half_life"]["all"]["steps"]
    says = f"half-life {half:.3g} steps" if np.isfinite(half) else "does not fall"
    axes.set(xlabel="lag (steps)", ylabel="log$_{10}$ norm", title=says)
    legend(axes)
    return figure


def _curve(axes: Axes, name: str, colour: str, curve: dict, shaded: bool) -> None:
    low, middle, high = (np.where(np.isfinite(c), c, np.nan) for c in map(_numbers, (curve[k] for k in _QUANTILES)))
    axes.plot(middle, color=colour, label=name, linewidth=1.6 if shaded else 0.9)
    if shaded:
        axes.fill_between(np.arange(len(middle)), low, high, color=colour, alpha=0.18, linewidth=0)


_QUANTILES = ("low", "median", "high")


def _numbers(values: list) -> np.ndarray:
    return np.asarray(values, float)


@captioned(
    "Fixed points and slow points",
    "Left, the carry along several examples in the plane of its two largest variances, with the points "
    "where it rests (circles) or lingers (diamonds) under the mean input: full where every direction "
    "decays, open where some grow. Right, the eigenvalues of the linearisation there.",
)
def inspect_fixed_points(record: dict) -> Figure | None:
    """Draw trajectories with the points in the plane, and eigenvalues of the linearisation at each point."""
    of = record["fixed_points"]
    if "left_out" in of:
        return None
    figure, ((plane, spectrum),) = panels(1, 2, width=3.4, height=3.2)
    for path in of["paths"]:
        plane.plot(*np.transpose(path), color=GREY, linewidth=0.6, alpha=0.6)
    for point in reversed(of["points"]):
        colour = RED if point["growing"] else GREEN
        marker = "o" if point["kind"] == "fixed" else "D"
        full = "none" if point["growing"] else colour
        plane.plot(*point["place"], marker, color=colour, markerfacecolor=full, markersize=5)
        values = point["eigenvalues"]
        spectrum.plot(values["real"], values["imag"], ".", color=colour, markersize=3, alpha=0.6)
    shares = [f"{100 * share:.0f} %" for share in (*of["variance"], 0)[:2]]
    plane.set(xlabel=f"first component ({shares[0]} of the variance)", ylabel=f"second ({shares[1]})")
    unit_circle(spectrum)
    spectrum.set(xlabel="real", ylabel="imaginary", title="eigenvalues at the points")
    return figure


FIGURES: tuple[DrawnFigure, ...] = (
    inspect_units,
    inspect_connectivity,
    inspect_gates,
    inspect_eigenvalues,
    inspect_flow,
    inspect_fixed_points,
)
