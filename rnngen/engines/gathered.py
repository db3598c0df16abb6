"""The steps of an `Affine` cell in chunks that the cell itself composes, see `cells.cell.Chunked`.

All chunks are composed in parallel; then one step for each chunk passes the carry on and gives the chunk's outputs. So
work and memory are linear in t, and the carry is kept between chunks alone.
"""

from typing import Any

import jax

from rnngen.cells import Affine, Cell
from rnngen.cells.cell import Chunked
from rnngen.engines import trees
from rnngen.engines.steps import StepInput, project, where
from rnngen.types import Carry, Params, PyTree


def chunked_form(cell: Cell, inputs: StepInput) -> Chunked | None:
    """Return how a cell composes its chunks; None if it does not, or if something is asked of the carries within."""
    chunked = cell.structure.chunked if isinstance(cell.structure, Affine) else None
    return chunked if inputs.probe is None and cell.credit is None else None


def gathered(cell: Cell, params: Params, carry: Carry, inputs: StepInput) -> tuple[Carry, PyTree]:
    """Run all steps; return (last carry, ys)."""
    structure: Any = cell.structure
    inputs = project(cell, params, inputs)

    def gather(chunks: StepInput):
        return structure.chunked.gather(params, chunks.u, chunks.mask, chunks.reset)

    def pass_on(carry, chunk):
        element, rows = chunk
        return structure.act(element, carry), structure.chunked.outputs(rows, carry)

    whole, rest = trees.chunked(inputs, trees.chunk_size(trees.length(inputs), structure.chunked.steps))
    carry, ys = jax.lax.scan(pass_on, carry, gather(whole))
    more = None
    if rest is not None:
        chunks = gather(jax.tree.map(lambda x: x[None], rest))
        carry, more = pass_on(carry, jax.tree.map(lambda x: x[0], chunks))
    ys = trees.unchunked(ys, more)
    return carry, ys if inputs.mask is None else where(inputs.mask, ys, 0)
