"""The associative engine: a parallel scan over time for `Affine` cells, in logarithmic depth.

For elementwise cells in float32 on a CPU the recurrence itself is a sequential compiled loop, see `recurrence`. Cells
that compose chunks of steps in their own way are run by `gathered`.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnngen.cells import Affine, Cell
from rnngen.cells.cell import compose_affine, multiply_add
from rnngen.engines import trees
from rnngen.engines.credited import scale_gradient
from rnngen.engines.fused import replay
from rnngen.engines.gathered import chunked_form, gathered
from rnngen.engines.recurrence import linear_recurrence, solve
from rnngen.engines.steps import StepInput, project, where
from rnngen.types import Array, Carry, Params, check_positive

CHUNK, BLOCK = 16384, 64


def associative(*, chunk: int = CHUNK, block: int = BLOCK):
    """Run all steps of a chunk of an `Affine` cell in parallel; memory grows with t.

    Args:
      chunk: steps per chunk; bounds compile time, and memory beyond inputs, carries and outputs.
      block: steps composed sequentially within a chunk, see `recurrence`; 1 for a GPU. A cell with a `chunked` form
        has its own chunks and needs neither, except for a changed gradient.

    Returns:
      The engine.

    Raises:
      ValueError: a size is below one.
    """
    check_positive(chunk=chunk, block=block)

    def run(cell, params, carry, inputs):
        if not isinstance(cell.structure, Affine):
            raise ValueError("engine 'associative' needs a cell with an Affine structure, see affine_cell; try 'fused'")
        if chunked_form(cell, inputs) is not None:
            return *gathered(cell, params, carry, inputs), {}
        plain = cell.structure.compose is compose_affine and cell.structure.act is multiply_add
        if not plain and inputs.probe is not None:
            raise ValueError("engine 'associative' takes no probes where a cell brings its own compose; use 'scan'")
        carries_of = _plain_carries if plain else jax.checkpoint(_own_carries, static_argnums=(0, 4))
        plain_cell = cell._replace(credit=None)
        scales = cell.credit is None or (plain and not cell.credit.keep_norm)

        def one_chunk(carry, inputs):
            if not scales:
                lefts = carries_of(plain_cell, params, carry, project(cell, params, inputs), block)
                return replay(cell, params, carry, inputs, jax.lax.stop_gradient(lefts))
            inputs = project(cell, params, inputs)
            carries = carries_of(cell, params, carry, inputs, block)
            ys = cell.structure.readout(params, carries, inputs.u)
            last = jax.tree.map(lambda c: c[-1], carries)
            return last, ys if inputs.mask is None else where(inputs.mask, ys, 0)

        whole, rest = trees.chunked(inputs, min(chunk, trees.length(inputs)))
        carry, ys = jax.lax.scan(one_chunk, carry, whole)
        carry, more = (carry, None) if rest is None else one_chunk(carry, rest)
        return carry, trees.unchunked(ys, more), {}

    return run


def _plain_carries(cell: Cell, params: Params, carry: Carry, inputs: StepInput, block: int) -> Carry:
    """Return the carries that leave the steps of carry' = a carry + b, with mask, probe and reset folded in."""
    structure: Any = cell.structure
    steps = trees.length(inputs)
    terms = structure.terms(params, inputs.u)
    a, b = (jax.tree.map(lambda c, x: jnp.broadcast_to(x, (steps, *c.shape)), carry, term) for term in terms)
    if inputs.mask is not None:
        a, b = where(inputs.mask, a, jax.tree.map(jnp.ones_like, a)), where(inputs.mask, b, 0)
    factors = _factors(cell, inputs, a)
    scaled = functools.partial(scale_gradient, factors) if factors is not None else lambda tree: tree
    if inputs.probe is not None:
        b = multiply_add((a, b), scaled(inputs.probe))
    if inputs.reset is not None:
        fresh = jax.tree.map(jnp.broadcast_to, cell.init_carry(params, inputs.reset.shape), jax.tree.map(jnp.shape, a))
        a, b = where(~inputs.reset, a, 0), where(inputs.reset, multiply_add((a, b), scaled(fresh)), b)
    return linear_recurrence(a, b, carry, block, factors)


def _factors(cell: Cell, inputs: StepInput, like: Carry) -> Carry | None:
    """Return the factor of the gradient in each carry that enters, `[t, *b, ...]`; None where none is changed."""
    if cell.credit is None:
        return None
    leaves, tree = jax.tree.flatten(like)
    single = [jnp.asarray(f, x.real.dtype) for f, x in zip(cell.credit.factors(like), leaves, strict=True)]
    factors = jax.tree.unflatten(tree, [jnp.full(x.shape, f) for f, x in zip(single, leaves, strict=True)])
    # A masked step is none.
    return factors if inputs.mask is None else where(inputs.mask, factors, jax.tree.map(jnp.ones_like, factors))


class _Flagged(NamedTuple):
    """The map carry -> act(element, fresh if reset else carry), without the act where `idle`."""

    element: Any
    idle: Array
    reset: Array


def _own_carries(cell: Cell, params: Params, carry: Carry, inputs: StepInput, block: int) -> Carry:
    """Return the carries that leave the steps of a cell with its own `compose` and `act`."""
    structure: Any = cell.structure
    terms = structure.terms(params, inputs.u)
    if inputs.mask is None and inputs.reset is None:
        return solve(structure.compose, structure.act, terms, carry, block)
    known: Any = inputs.reset if inputs.mask is None else inputs.mask
    never = jnp.zeros_like(known)
    idle = never if inputs.mask is None else ~inputs.mask
    elements = _Flagged(terms, idle, never if inputs.reset is None else inputs.reset)
    fresh = cell.init_carry(params, known.shape[1:])

    def act(flagged: _Flagged, carry):
        first = jax.tree.map(lambda f, c: jnp.broadcast_to(f, c.shape), fresh, carry)
        entering = where(flagged.reset, first, carry)
        return where(flagged.idle, entering, structure.act(flagged.element, entering))

    def compose(later: _Flagged, earlier: _Flagged):
        both = structure.compose(later.element, earlier.element)
        element = where(later.idle, earlier.element, where(earlier.idle | later.reset, later.element, both))
        idle = later.idle & (later.reset | earlier.idle)
        return _Flagged(element, idle, later.reset | earlier.reset)

    return solve(compose, act, elements, carry, block)
