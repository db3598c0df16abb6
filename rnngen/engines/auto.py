"""The engine that is measured to be fastest for a cell's structure and shapes, never one with other results.

| cell | where | engine |
|---|---|---|
| with a hand-written `Backward` | any | `fused` |
| `Affine`, elementwise | at least 512 steps, at most 512 numbers in the carry | `associative` |
| any other | any | `scan` |

`scripts/bench.py lengths` and `layers` measure what this table says.
"""

import jax

from rnngen.cells import Affine, Cell, Gated
from rnngen.cells.cell import compose_affine, multiply_add
from rnngen.engines.associative import associative
from rnngen.engines.fused import fused
from rnngen.engines.scan import scan
from rnngen.engines.trees import length
from rnngen.types import Carry

FEWEST_STEPS, LARGEST_CARRY = 512, 512


def auto():
    """Whichever of the others is fastest here; the same values and gradients to rounding."""

    def run(cell, params, carry, inputs):
        return _pick(cell, carry, length(inputs))(cell, params, carry, inputs)

    return run


def _pick(cell: Cell, carry: Carry, steps: int):
    structure = cell.structure
    if isinstance(structure, Gated) and structure.backward is not None:
        return fused()
    plain = isinstance(structure, Affine) and (structure.compose, structure.act) == (compose_affine, multiply_add)
    if plain and steps >= FEWEST_STEPS and sum(leaf.size for leaf in jax.tree.leaves(carry)) <= LARGEST_CARRY:
        return associative()
    return scan()
