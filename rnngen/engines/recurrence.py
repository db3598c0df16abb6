"""Recurrences whose step is an element of a monoid, solved for all steps at once.

The steps are dealt into blocks. All blocks compose their elements side by side, `block` products deep; the blocks'
totals are composed by `jax.lax.associative_scan` (Blelloch 1990), logarithmically deep; and each block's elements act
on the carry that the blocks before it lead to. With block=1 the whole is logarithmic; larger ones do less work.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from rnngen.cells.cell import compose_affine, multiply_add
from rnngen.engines.trees import chunk_size, chunked, length, unchunked
from rnngen.types import Carry


def solve(compose: Callable, act: Callable, elements: Any, carry: Carry, block: int) -> Carry:
    """The carries that leave each step, `[t, ...]`: carry_t = act(element_t, carry_{t-1}).

    elements: tree of `[t, ...]`. compose: (later, earlier) -> element and act: (element, carry) -> carry, for any
    leading axes.
    """
    size = chunk_size(length(elements), block)
    whole, rest = chunked(elements, size)
    # [n, block, ...] -> [block, n, ...]: the scan goes through a block, the blocks are side by side.
    whole = jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), whole)
    within = _prefix(compose, whole)
    totals = jax.tree.map(lambda x: x[-1], within)
    across = jax.lax.associative_scan(lambda a, b: compose(b, a), totals)
    ends = act(across, _repeat(carry, across))
    starts = jax.tree.map(lambda c, cs: jnp.concatenate([c[None], cs[:-1]]), carry, ends)
    carries = jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), act(within, _repeat(starts, within)))
    if rest is None:
        return unchunked(carries, None)
    last = jax.tree.map(lambda x: x[-1], ends)
    return unchunked(carries, act(_prefix(compose, rest), _repeat(last, rest)))


def _repeat(carry: Carry, elements: Any) -> Carry:
    """The carry once for each of the leading axis of elements."""
    return jax.tree.map(lambda c: jnp.broadcast_to(c, (length(elements), *c.shape)), carry)


def _prefix(compose: Callable, elements: Any) -> Any:
    """Each element composed with all before it, one after another along the leading axis."""
    first = jax.tree.map(lambda x: x[0], elements)
    later = jax.tree.map(lambda x: x[1:], elements)

    def step(sofar, element):
        sofar = compose(element, sofar)
        return sofar, sofar

    _, sofar = jax.lax.scan(step, first, later)
    return jax.tree.map(lambda f, s: jnp.concatenate([f[None], s]), first, sofar)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def linear_recurrence(a: Carry, b: Carry, carry: Carry, block: int) -> Carry:
    """c_t = a_t c_{t-1} + b_t elementwise, leaf by leaf: trees of `[t, ...]` and `[...]` -> `[t, ...]`.

    Its gradient is the same recurrence run backwards, so that nothing but a and c is kept.
    """
    return solve(compose_affine, multiply_add, (a, b), carry, block)


def _forward(a, b, carry, block):
    carries = linear_recurrence(a, b, carry, block)
    return carries, (a, carry, carries)


def _backward(block, residuals, dcarries):
    a, carry, carries = residuals
    # Turned in time: lambda_t = dcarries_t + a_{t+1} lambda_{t+1}.
    shifted = jax.tree.map(lambda x: jnp.concatenate([jnp.zeros_like(x[:1]), jnp.flip(x[1:], 0)]), a)
    flipped = jax.tree.map(lambda x: jnp.flip(x, 0), dcarries)
    nothing = jax.tree.map(jnp.zeros_like, carry)
    db = jax.tree.map(lambda x: jnp.flip(x, 0), linear_recurrence(shifted, flipped, nothing, block))
    before = jax.tree.map(lambda c, cs: jnp.concatenate([c[None], cs[:-1]]), carry, carries)
    da = jax.tree.map(jnp.multiply, db, before)
    return da, db, jax.tree.map(lambda a, d: a[0] * d[0], a, db)


linear_recurrence.defvjp(_forward, _backward)
