"""The plain engine: `jax.lax.scan` over the step. Right for every cell; every other engine is held to it."""

import jax

from rnngen.cells import Cell
from rnngen.types import Carry, Params, PyTree


def scan(cell: Cell, params: Params, carry: Carry, us: PyTree) -> tuple[Carry, PyTree]:
    """Run `cell.step` over the leading axis `t` of us, with prepared params."""
    return jax.lax.scan(lambda carry, u: cell.step(params, carry, u), carry, us)
