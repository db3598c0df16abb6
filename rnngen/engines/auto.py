"""The engine that is fastest on this machine for a cell's structure and shapes; results agree to rounding.

| cell | where | engine |
|---|---|---|
| `Gated`, pointwise | in float32 on a CPU | compiled loops, `fused` in JAX or `scan`: as timed here |
| with a handwritten `Backward` | elsewhere | `fused` |
| `Affine`, elementwise, carry `[*b, h, n]` | for a gradient; 8192 real numbers or more, plain inputs | `fused` |
| `Affine`, elementwise, carry `[*b, h, n]` | otherwise | `scan` |
| `Affine`, elementwise | in float32 on a CPU | `associative` with its compiled loop, `fused` or `scan`: as timed here |
| `Affine`, elementwise | elsewhere, at least 64 steps, at most 128 numbers in the carries of a batch | `associative` |
| `Affine`, elementwise | elsewhere, any other shape, plain inputs, not complex | `fused` |
| `Affine` with a `chunked` form | two steps or more, without probes, with the plain gradient | `associative` |
| the same, whose `chunked` is not for the forward pass alone | where no gradient is taken | `scan` |
| any other | any | `scan` |

Plain inputs have no mask, resets or probes. `cpu/calibration.py` does the timing, and `rnngen doctor` prints it. Naming
an engine, and for `fused` its `kernels`, pins the choice.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from rnngen.cells import Affine, Cell, Gated
from rnngen.cells.cell import compose_affine, multiply_add
from rnngen.engines.associative import associative
from rnngen.engines.cpu import build, calibration
from rnngen.engines.cpu.calibration import LOOPS, PASS, SCAN, Ways
from rnngen.engines.cpu.loops import loops_for
from rnngen.engines.fused import engines_of, fastest, fused
from rnngen.engines.gathered import chunked_form
from rnngen.engines.recurrence import one_after_another
from rnngen.engines.scan import scan
from rnngen.engines.steps import StepInput
from rnngen.engines.trees import length
from rnngen.engines.ways import by_ways
from rnngen.types import Carry, Params

FEWEST_STEPS, LARGEST_CARRY, LARGE_EXPANDED = 64, 128, 8192


def auto():
    """Run whichever engine is fastest here; the same values and gradients to rounding.

    Returns:
      The engine.
    """

    def run(cell, params, carry, inputs):
        return pick(cell, params, carry, inputs)(cell, params, carry, inputs)

    return run


def pick(cell: Cell, params: Params, carry: Carry, inputs: StepInput):
    """Return the engine of the table above."""
    structure = cell.structure
    if isinstance(structure, Gated):
        loops = loops_for(cell, params, carry, inputs)
        if loops is not None:
            return by_ways(fastest(cell, loops, inputs), engines_of(cell, loops))
        return scan() if structure.backward is None else fused()
    if not (isinstance(structure, Affine) and (structure.compose, structure.act) == (compose_affine, multiply_add)):
        chunked = chunked_form(cell, inputs)
        if chunked is None or length(inputs) < 2:
            return scan()
        return by_ways(Ways(CHUNKS if chunked.alone else SCAN, CHUNKS), CHUNKED)
    if cell.credit is not None and cell.credit.keep_norm:
        return scan()
    real = not any(jnp.iscomplexobj(leaf) for leaf in jax.tree.leaves(carry))
    may_fuse = inputs.mask is inputs.reset is inputs.probe is None and real
    numbers = sum(leaf.size for leaf in jax.tree.leaves(carry))
    if _is_expanded(carry, inputs):
        return by_ways(Ways(SCAN, PASS), AFFINE) if may_fuse and numbers >= LARGE_EXPANDED else scan()
    if one_after_another(carry):
        return _timed(carry, may_fuse)
    if numbers <= LARGEST_CARRY and length(inputs) >= FEWEST_STEPS:
        return associative()
    return fused() if may_fuse else scan()


def _is_expanded(carry: Carry, inputs: StepInput) -> bool:
    """Return True for a carry `[*b, h, n]`: all steps' at once take more memory than the steps save in time."""
    axes = jax.tree.leaves(inputs.u)[0].ndim - 1  # of a step's features
    return any(leaf.ndim > axes for leaf in jax.tree.leaves(carry))


def _timed(carry: Carry, may_fuse: bool):
    """Return the fastest engine for an elementwise affine cell."""
    units = max((leaf.shape[-1] for leaf in jax.tree.leaves(carry) if leaf.ndim), default=1)
    among = calibration.WAYS if may_fuse else (LOOPS, SCAN)
    return by_ways(calibration.ways(build.LINEAR, units, None, among), AFFINE)


CHUNKS = "chunks"
# The engine of each way of running a cell with a chunked form, and an elementwise affine cell.
CHUNKED: dict[str, Callable] = {CHUNKS: associative(), SCAN: scan()}
AFFINE: dict[str, Callable] = {LOOPS: associative(), PASS: fused(), SCAN: scan()}
