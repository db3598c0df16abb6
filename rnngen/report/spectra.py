"""Figures of spectra: Lyapunov exponents, the long-term Jacobian, eigenvalues in the complex plane, gates."""

import os

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnngen.report.figures import diagnosed, powers_of_ten
from rnngen.report.labels import moments
from rnngen.report.style import band, colours, legend_above, panels, styled


@styled
def lyapunov_spectra(folder: str | os.PathLike) -> Figure | None:
    """Lyapunov exponents in order, before and after training (Vogt et al. 2022); None where none were recorded."""

    def values(row):
        exponents = row["exponents"]["median"]
        return {(number + 1) / len(exponents): value for number, value in enumerate(exponents)}

    return _before_and_after(
        folder, "lyapunov_spectrum", values, "index of the exponent / number of exponents", "exponent (nats per step)"
    )


@styled
def jacobian_conditions(folder: str | os.PathLike) -> Figure | None:
    """Condition number of the long-term Jacobian against lag (Engelken 2023); None where it was not recorded."""

    def values(row):
        return dict(zip(row["lags"], row["log10_condition"]["median"], strict=False))

    return _before_and_after(
        folder, "jacobian_products", values, "lag (steps)", "condition number of the\nlong-term Jacobian", log=True
    )


@styled
def recurrent_eigenvalues(folder: str | os.PathLike) -> Figure | None:
    """Eigenvalues of the step's Jacobian in the complex plane with the unit circle, before and after training.

    One panel a cell, of its first trial, at the middle one of the recorded steps; None where none were recorded.
    """
    rows = diagnosed(folder, "recurrent_eigenvalues")
    if rows.empty:
        return None
    rows = rows[rows["trial"].isin(rows.groupby("curve", sort=False)["trial"].first())]
    names, colour = list(dict.fromkeys(rows["curve"])), colours(rows["curve"])
    figure, grid = panels(2, len(names), width=2.0, height=2.0)
    for number, (moment, chosen) in enumerate(moments(folder, rows).items()):
        for axes, name in zip(grid[number], names, strict=True):
            for at_steps in filter(None, chosen.loc[chosen["curve"] == name, "jacobian"]):
                at_step = at_steps[len(at_steps) // 2]
                axes.plot(np.ravel(at_step["real"]), np.ravel(at_step["imag"]), ".", color=colour[name], markersize=3)
            unit_circle(axes)
            axes.set(title="" if number else name, xlabel="real" if number else "")
        grid[number][0].set_ylabel(f"imaginary,\n{moment}")
    return figure


@styled
def gate_statistics(folder: str | os.PathLike) -> Figure | None:
    """Shares of time that units spend with a gate shut and open, after training: a point a unit (Karpathy et al. 2015).

    One panel a cell and gate; None where no gates were recorded.
    """
    rows = diagnosed(folder, "gate_statistics")
    rows = rows if rows.empty else moments(folder, rows)["after training"]
    rows = rows[[bool(gates) for gates in rows["gates"]]] if len(rows) else rows
    if rows.empty:
        return None
    colour = colours(rows["curve"])
    kinds = list(dict.fromkeys((row["curve"], gate) for _, row in rows.iterrows() for gate in row["gates"]))
    figure, (line,) = panels(1, len(kinds), width=1.9, height=2.0, sharex=True, sharey=True)
    for axes, (curve, gate) in zip(line, kinds, strict=True):
        for _, row in rows[rows["curve"] == curve].iterrows():
            if gate in row["gates"]:
                of = row["gates"][gate]
                axes.plot(of["right"], of["left"], ".", color=colour[curve], markersize=3, alpha=0.5)
        axes.plot([0, 1], [1, 0], color="0.7", linewidth=0.6)
        shown = gate.split("/")[-1].replace("$", r"\$")
        axes.set(title=f"{curve}, {shown}", xlabel="share open")
    line[0].set_ylabel("share shut")
    return figure


def _before_and_after(folder, what: str, values, xlabel: str, ylabel: str, log: bool = False) -> Figure | None:
    """Two panels, one curve a label: the median over seeds of `values(row)`, with the range over seeds."""
    rows = diagnosed(folder, what)
    if rows.empty:
        return None
    colour = colours(rows["curve"])
    figure, (line,) = panels(1, 2, width=3.4, height=2.6, sharey=True)
    for axes, (moment, chosen) in zip(line, moments(folder, rows).items(), strict=True):
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
    legend_above(figure)
    return figure


def unit_circle(axes: Axes) -> None:
    """Draw it, with both axes at one scale."""
    angle = np.linspace(0, 2 * np.pi, 200)
    axes.plot(np.cos(angle), np.sin(angle), color="0.6", linewidth=0.8)
    axes.set_aspect("equal", adjustable="datalim")
