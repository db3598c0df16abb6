"""The engine that is measured to be fastest for a cell's structure and shapes, never one with other results.

| cell | where | engine |
|---|---|---|
| with a hand-written `Backward` | any | `fused`; on a CPU its compiled loops, where there are some |
| `Affine`, elementwise | in float32 on a CPU, where there are compiled loops | `associative` |
| `Affine`, elementwise | elsewhere, at least 64 steps, at most 128 numbers in the carries of a batch | `associative` |
| `Affine`, elementwise | elsewhere, any other shape, without mask, resets and probes | `fused` |
| any other | any | `scan` |

`scripts/bench.py lengths` and `layers` measure what this table says.
"""

import jax

from rnngen.cells import Affine, Cell, Gated
from rnngen.cells.cell import compose_affine, multiply_add
from rnngen.engines.associative import associative
from rnngen.engines.fused import fused
from rnngen.engines.recurrence import one_after_another
from rnngen.engines.scan import scan
from rnngen.engines.steps import StepInput
from rnngen.engines.trees import length
from rnngen.types import Carry

FEWEST_STEPS, LARGEST_CARRY = 64, 128


def auto():
    """Whichever of the others is fastest here; the same values and gradients to rounding."""

    def run(cell, params, carry, inputs):
        return pick(cell, carry, inputs)(cell, params, carry, inputs)

    return run


def pick(cell: Cell, carry: Carry, inputs: StepInput):
    """The engine of the table above."""
    structure = cell.structure
    if isinstance(structure, Gated) and structure.backward is not None:
        return fused()
    plain = isinstance(structure, Affine) and (structure.compose, structure.act) == (compose_affine, multiply_add)
    small = sum(leaf.size for leaf in jax.tree.leaves(carry)) <= LARGEST_CARRY
    if plain and (one_after_another(carry) or (small and length(inputs) >= FEWEST_STEPS)):
        return associative()
    if plain and inputs.mask is inputs.reset is inputs.probe is None:
        return fused()
    return scan()
