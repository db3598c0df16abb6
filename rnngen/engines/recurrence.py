"""Recurrences whose step is an element of a monoid, solved for all steps at once.

The steps are dealt into blocks. All blocks are composed side by side, `block` products deep; their totals are composed
by `jax.lax.associative_scan` (Blelloch 1990), logarithmically deep; and then all blocks are gone through side by side,
each from the carry that those before it lead to. With block=1 the whole is logarithmic in t; larger ones do less work.

On a CPU nothing is gained by that where one multiplication and one addition are a step: that is a compiled loop.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from rnngen.cells.cell import compose_affine, multiply_add
from rnngen.engines.cpu import build, calibration
from rnngen.engines.cpu.build import LINEAR
from rnngen.engines.trees import chunk_size, chunked, entering, length, unchunked
from rnngen.types import Array, Carry, PyTree

USUAL = 128  # units of the layer by which the compiled loop is first seen to be right


def solve(compose: Callable, act: Callable, elements: Any, carry: Carry, block: int) -> Carry:
    """The carries that leave each step, `[t, ...]`: carry_t = act(element_t, carry_{t-1}).

    elements: tree of `[t, ...]`. compose: (later, earlier) -> element and act: (element, carry) -> carry, for any
    leading axes.
    """
    size = chunk_size(length(elements), block)
    whole, rest = chunked(elements, size)
    # [n, block, ...] -> [block, n, ...]: the scan goes through a block, the blocks are side by side.
    whole = jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), whole)
    totals = _total(compose, whole)
    across = jax.lax.associative_scan(lambda a, b: compose(b, a), totals)
    ends = act(across, _repeat(carry, across))
    starts = entering(carry, ends)
    carries = jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), _in_turn(act, whole, starts))
    if rest is None:
        return unchunked(carries, None)
    last = jax.tree.map(lambda x: x[-1], ends)
    return unchunked(carries, _in_turn(act, rest, last))


def _repeat(carry: Carry, elements: Any) -> Carry:
    """The carry once for each of the leading axis of elements."""
    return jax.tree.map(lambda c: jnp.broadcast_to(c, (length(elements), *c.shape)), carry)


def _total(compose: Callable, elements: Any) -> Any:
    """All elements along the leading axis, composed."""
    first = jax.tree.map(lambda x: x[0], elements)
    later = jax.tree.map(lambda x: x[1:], elements)
    return jax.lax.scan(lambda sofar, element: (compose(element, sofar), None), first, later)[0]


def _in_turn(act: Callable, elements: Any, carry: Carry) -> Carry:
    """The carries that leave each step along the leading axis."""

    def step(carry, element):
        carry = act(element, carry)
        return carry, carry

    return jax.lax.scan(step, carry, elements)[1]


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def linear_recurrence(a: Carry, b: Carry, carry: Carry, block: int) -> Carry:
    """c_t = a_t c_{t-1} + b_t elementwise, leaf by leaf: trees of `[t, ...]` and `[...]` -> `[t, ...]`.

    block: as in `solve`, which runs it where it does not go `one_after_another`.
    Its gradient is the same recurrence run backwards, so that nothing but a and c is kept.
    """
    if length(a) > 1 and one_after_another((a, b, carry)):
        return jax.tree.map(_loop, a, b, carry)
    return solve(compose_affine, multiply_add, (a, b), carry, block)


def one_after_another(given: PyTree) -> bool:
    """Whether `linear_recurrence` goes through the steps in a compiled loop: on a CPU, all that is given in float32."""
    if jax.default_backend() != "cpu" or any(leaf.dtype != jnp.float32 for leaf in jax.tree.leaves(given)):
        return False
    return LINEAR.name in build.REGISTERED or calibration.find(LINEAR, USUAL).why_not is None


def _loop(a: Array, b: Array, carry: Array) -> Array:
    """c `[t, ...]` for a leaf; not for t = 1, where XLA loses in second derivatives what kind of call this is."""
    out = jax.ShapeDtypeStruct(a.shape, a.dtype)
    return jax.ffi.ffi_call(build.target(LINEAR, "recurrence"), out, vmap_method="sequential")(a, b, carry)


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
    before = entering(carry, carries)
    da = jax.tree.map(jnp.multiply, db, before)
    return da, db, jax.tree.map(lambda a, d: a[0] * d[0], a, db)


linear_recurrence.defvjp(_forward, _backward)
