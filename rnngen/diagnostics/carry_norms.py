"""Norm of the carry along a sequence, and its distance from where it ends (Arjovsky et al. 2016, figure 4)."""

from typing import TYPE_CHECKING, Any

import jax.numpy as jnp

from rnngen.cells import Cell
from rnngen.diagnostics.diagnosis import Diagnosis, Kind, flags, spread
from rnngen.engines import batch_shape, unroll
from rnngen.engines.trees import is_float
from rnngen.models import stepwise
from rnngen.plotting.figure import Look, figure
from rnngen.plotting.records import CURVE, diagnosed
from rnngen.types import Array, Carry, Params, PyTree, named

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def carry_norms_diagnosis() -> Diagnosis:
    """Norm of the carry at each step, and of its difference from the last.

    Returns:
      The diagnosis.
    """

    def measure(model, params, batch, task):
        return carry_norms(stepwise(model).cell, params, batch.inputs, **flags(batch))

    def record(found):
        return {"curves": {what: {n: spread(x) for n, x in of.items()} for what, of in found.items()}}

    return Diagnosis(measure, record)


def carry_norms(
    cell: Cell,
    params: Params,
    xs: PyTree,
    carry: Carry | None = None,
    *,
    mask: Array | None = None,
    resets: Array | None = None,
) -> dict[str, dict[str, Array]]:
    """Measure the norm, per example, of the carry that leaves each step.

    Args:
      cell, params, xs, carry, mask, resets: as in `unroll`.

    Returns:
      `{"norm": {leaf: [t, *b]}, "to_last": {leaf: [t, *b]}}`, the second of the difference from the carry that leaves
      the last step. Leaves are named as in `log_gradient_norms`; integer leaves have no norm.
    """
    record = lambda params, carry, inputs, after: after  # noqa: E731
    last, _, carries = unroll(cell, params, xs, carry, mask=mask, resets=resets, record=record)
    batch = batch_shape(xs, mask, resets)
    moved = [(name, leaf, end) for (name, leaf), (_, end) in zip(named(carries), named(last), strict=True)]
    norms = {name: _norm(leaf, batch) for name, leaf, _ in moved if is_float(leaf)}
    return {
        "norm": norms,
        "to_last": {name: _norm(leaf - end, batch) for name, leaf, end in moved if is_float(leaf)},
    }


def _norm(leaf: Array, batch: tuple[int, ...]) -> Array:
    """Compute norms: `[t, *b, ...]` -> `[t, *b]`."""
    return jnp.linalg.norm(leaf.reshape(leaf.shape[0], *batch, -1).astype(jnp.float32), axis=-1)


SHAPE = {"curves": {"norm": {...: CURVE}, "to_last": {...: CURVE}}}


@figure(
    "Norm of the carry",
    "Norm of the carry, and of its difference from the last. Lines are medians over seeds, bands reach from the least "
    "to the greatest seed.",
    name="carry_norms",
)
def plot_carry_norms(sweep: Any, look: Look, *, leaf: str = "layer_0/h") -> "Figure":
    """Draw the norm of the carry at each step, and of its difference from the last.

    Args:
      leaf: of the carry, as in `layer_0/h`.
    """
    from rnngen.plotting.style import draw_curves

    rows, colour = look.curves(diagnosed(sweep, "carry_norms", SHAPE))
    name = leaf.split("/")[-1]
    labels = {"norm": rf"$\|{name}_t\|$", "to_last": rf"$\|{name}_t - {name}_T\|$"}
    figure, grid = look.panels(2, 2, width=4.2, height=2.6, sharex=True, sharey="row")
    for column, (moment, chosen) in enumerate(sweep.moments(rows).items()):
        for axes, (what, text) in zip(grid[:, column], labels.items(), strict=True):
            for label, group in chosen.groupby("curve", sort=False):
                curves = [curve["median"] for c in group["curves"] if (curve := _leaf(c[what], leaf))]
                draw_curves(axes, str(label), colour[str(label)], curves)
            axes.set(ylabel=text if column == 0 else "", title=moment if what == "norm" else "")
    for axes in grid[-1]:
        axes.set_xlabel("time step t")
    look.legend(figure)
    return figure


def _leaf(of: dict, leaf: str) -> dict | None:
    """Return a leaf's curve, None where it is absent; a cell whose carry is one array has its layer's name."""
    return of.get(leaf) or of.get(leaf.split("/")[0])


DIAGNOSIS = Kind("carry_norms", carry_norms_diagnosis, plot_carry_norms)
