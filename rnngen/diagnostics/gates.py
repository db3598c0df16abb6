"""Openness of the gates of a cell, and the share of them that is stuck (Karpathy et al. 2015, section 4.2)."""

from typing import TYPE_CHECKING, Any, NamedTuple

import jax.numpy as jnp

from rnngen.cells import Cell
from rnngen.diagnostics.diagnosis import Diagnosis, Kind, flags
from rnngen.engines import batch_shape, unroll
from rnngen.models import stepwise
from rnngen.plotting.figure import Look, NothingToDraw, figure
from rnngen.plotting.records import diagnosed, pairs
from rnngen.types import Array, Carry, Params, PyTree

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class GateStatistics(NamedTuple):
    """Statistics of one gate over the unmasked steps.

    Attributes:
      left, right: `[h]`, the share of steps and examples at which a unit is below the margin, or above 1 - margin.
      mean: `[h]`.
      over_time: `[t]`, the share of units and examples at each step that are either; NaN without examples.
    """

    left: Array
    right: Array
    mean: Array
    over_time: Array


def gate_statistics_diagnosis(margin: float = 0.1) -> Diagnosis:
    """Openness of each gate, and the share of it within `margin` of shut or open, over units and over time.

    Args:
      margin: distance from 0 or 1 below which a gate counts as shut or open.

    Returns:
      The diagnosis.
    """
    _check_margin(margin)

    def measure(model, params, batch, task):
        return gate_statistics(stepwise(model).cell, params, batch.inputs, margin=margin, **flags(batch))

    def record(found):
        return {"gates": {name: {k: v.tolist() for k, v in of._asdict().items()} for name, of in found.items()}}

    return Diagnosis(measure, record)


def gate_statistics(
    cell: Cell,
    params: Params,
    xs: PyTree,
    carry: Carry | None = None,
    *,
    mask: Array | None = None,
    resets: Array | None = None,
    margin: float = 0.1,
) -> dict[str, GateStatistics]:
    """Measure each gate that the cell shows by `observe`. A NaN in a gate is a NaN in all that counts it.

    Args:
      cell, params, xs, carry, mask, resets: as in `unroll`.
      margin: distance from 0 or 1 below which a gate counts as shut or open.

    Returns:
      name -> GateStatistics; {} for a cell without gates.

    Raises:
      ValueError: the margin does not lie between 0 and 0.5.
    """
    _check_margin(margin)
    batch = batch_shape(xs, mask, resets)

    def record(params, carry, inputs, _):
        exists = jnp.ones(batch, bool) if mask is None else inputs.mask
        gates = cell.observe(params, carry, inputs.u)
        return {name: _sums(gate, exists, margin) for name, gate in gates.items()}, jnp.sum(exists, dtype=jnp.float32)

    _, _, (sums, counts) = unroll(cell, params, xs, carry, mask=mask, resets=resets, record=record)
    return {name: _summary(of, counts) for name, of in sums.items()}


def _check_margin(margin: float) -> None:
    if not 0 < margin < 0.5:
        raise ValueError(f"margin must lie between 0 and 0.5, got {margin}")


def _sums(gate: Array, exists: Array, margin: float) -> tuple[Array, Array, Array]:
    """Sum over unmasked examples: being left, being right, and the gate `[*b, h]` itself; `[h]` each."""
    gate = gate.astype(jnp.float32)

    def total(x):
        counted = jnp.where(exists[..., None], x, 0)
        return jnp.sum(counted, axis=tuple(range(exists.ndim)))

    sides = (gate < margin).astype(gate.dtype), (gate > 1 - margin).astype(gate.dtype)
    # A comparison takes NaN for neither.
    left, right = (jnp.where(jnp.isnan(gate), gate, side) for side in sides)
    return total(left), total(right), total(gate)


def _summary(sums: tuple[Array, Array, Array], counts: Array) -> GateStatistics:
    """Divide the sums `[t, h]` of each step by its number of examples `[t]`."""
    left, right, mean = (jnp.sum(x, axis=0) / jnp.sum(counts) for x in sums)
    return GateStatistics(left, right, mean, jnp.mean(sums[0] + sums[1], axis=1) / counts)


@figure(
    "Gates",
    "Shares of time that a unit's gate is shut and open, after training: a point a unit. On the grey line a gate "
    "is always one or the other.",
    name="gate_statistics",
)
def plot_gates(sweep: Any, look: Look) -> "Figure":
    """Draw the shares of time that units spend with a gate shut and open, after training (Karpathy et al. 2015).

    One panel a cell and gate, a point a unit.
    """
    from rnngen.plotting.style import literal

    rows = diagnosed(sweep, "gate_statistics", {"gates": {...: pairs("left", "right", [float], len)}})
    rows = sweep.moments(rows)["after training"]
    rows = rows[[bool(gates) for gates in rows["gates"]]]
    if rows.empty:
        raise NothingToDraw(f"{sweep.path} has no gates: none of its cells observes any")
    rows, colour = look.curves(rows)
    kinds = list(dict.fromkeys((row["curve"], gate) for _, row in rows.iterrows() for gate in row["gates"]))
    figure, (line,) = look.panels(1, len(kinds), width=1.9, height=2.0, sharex=True, sharey=True)
    for axes, (curve, gate) in zip(line, kinds, strict=True):
        for _, row in rows[rows["curve"] == curve].iterrows():
            if gate in row["gates"]:
                of = row["gates"][gate]
                axes.plot(of["right"], of["left"], ".", color=colour[curve], markersize=3, alpha=0.5)
        axes.plot([0, 1], [1, 0], color="0.7", linewidth=0.6)
        axes.set(title=f"{curve}, {literal(gate.split('/')[-1])}", xlabel="share open")
    line[0].set_ylabel("share shut")
    return figure


DIAGNOSIS = Kind("gate_statistics", gate_statistics_diagnosis, plot_gates)
