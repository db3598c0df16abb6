"""How open the gates of a cell are, and which are stuck (Karpathy et al. 2015, section 4.2)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnngen.cells import Cell
from rnngen.diagnostics.vector_steps import VectorSteps
from rnngen.types import Array, Carry, Params, PyTree


class GateStatistics(NamedTuple):
    """What one gate does, over the steps that exist.

    left, right: `[h]`, the share of steps and examples at which a unit is below the margin, or above 1 - margin.
    mean: `[h]`. over_time: `[t]`, the share of units and examples at each step that are either; NaN without examples.
    """

    left: Array
    right: Array
    mean: Array
    over_time: Array


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
    """Statistics of each gate that the cell shows by `observe` on xs `[t, *b, d]`: name -> GateStatistics, or {}.

    A NaN in a gate is a NaN in all that counts it. Raises ValueError for a margin not between 0 and 0.5.
    """
    if not 0 < margin < 0.5:
        raise ValueError(f"margin must lie between 0 and 0.5, got {margin}")
    steps = VectorSteps(cell, params, xs, carry, mask=mask, resets=resets)
    exists = jnp.ones((steps.length, *steps.batch), bool) if mask is None else mask

    def step(carry, at_step):
        inputs, exists = at_step
        gates = steps.cell.observe(steps.params, steps.enter(carry, inputs), inputs.u)
        return steps.advance(carry, inputs), {name: _sums(gate, exists, margin) for name, gate in gates.items()}

    _, sums = jax.lax.scan(step, steps.carry, (steps.inputs, exists))
    counts = jnp.sum(exists, axis=tuple(range(1, exists.ndim)), dtype=jnp.float32)
    return {name: _summary(of, counts) for name, of in sums.items()}


def _sums(gate: Array, exists: Array, margin: float) -> tuple[Array, Array, Array]:
    """Sums over the examples that exist, of being left, being right, and the gate `[*b, h]` itself: `[h]` each."""
    gate = gate.astype(jnp.float32)

    def total(x):
        counted = jnp.where(exists[..., None], x, 0)
        return jnp.sum(counted, axis=tuple(range(exists.ndim)))

    sides = (gate < margin).astype(gate.dtype), (gate > 1 - margin).astype(gate.dtype)
    # A comparison takes NaN for neither.
    left, right = (jnp.where(jnp.isnan(gate), gate, side) for side in sides)
    return total(left), total(right), total(gate)


def _summary(sums: tuple[Array, Array, Array], counts: Array) -> GateStatistics:
    """From the sums `[t, h]` of each step, and its number of examples `[t]`."""
    left, right, mean = (jnp.sum(x, axis=0) / jnp.sum(counts) for x in sums)
    return GateStatistics(left, right, mean, jnp.mean(sums[0] + sums[1], axis=1) / counts)
