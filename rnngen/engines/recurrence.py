"""Recurrences with an associative composition of steps, solved for all steps in parallel.

The steps are divided into blocks. All blocks are composed in parallel, in `block` sequential products; their totals
are composed by `jax.lax.associative_scan` (Blelloch 1990), in logarithmic depth; and then all blocks are run in
parallel, each from the carry that enters it. With block=1 the depth is logarithmic in t; larger blocks do less work.

On a CPU this does not pay where a step is one multiplication and one addition: there it is a compiled loop.
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

USUAL = 128  # units of the layer that the compiled loop is first tested on


def solve(compose: Callable, act: Callable, elements: Any, carry: Carry, block: int) -> Carry:
    """Return the carries that leave each step, `[t, ...]`: carry_t = act(element_t, carry_{t-1}).

    Args:
      compose: (later, earlier) -> element, for any leading axes.
      act: (element, carry) -> carry, for any leading axes.
      elements: tree of `[t, ...]`.
      block: steps composed sequentially.
    """
    size = chunk_size(length(elements), block)
    whole, rest = chunked(elements, size)
    # [n, block, ...] -> [block, n, ...]: the scan runs along a block, with all blocks in parallel.
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
    """Repeat the carry along the leading axis of elements."""
    return jax.tree.map(lambda c: jnp.broadcast_to(c, (length(elements), *c.shape)), carry)


def _total(compose: Callable, elements: Any) -> Any:
    """Compose all elements along the leading axis."""
    first = jax.tree.map(lambda x: x[0], elements)
    later = jax.tree.map(lambda x: x[1:], elements)
    return jax.lax.scan(lambda sofar, element: (compose(element, sofar), None), first, later)[0]


def _in_turn(act: Callable, elements: Any, carry: Carry) -> Carry:
    """Return the carries that leave each step along the leading axis, computed sequentially."""

    def step(carry, element):
        carry = act(element, carry)
        return carry, carry

    return jax.lax.scan(step, carry, elements)[1]


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def linear_recurrence(a: Carry, b: Carry, carry: Carry, block: int, factors: Carry | None = None) -> Carry:
    """Solve c_t = a_t c_{t-1} + b_t elementwise, leaf by leaf: trees of `[t, ...]` and `[...]` -> `[t, ...]`.

    The gradient is the same recurrence in reversed time, so the residuals are a and c. `solve` runs it, with this
    `block`, unless `one_after_another`.

    Args:
      factors: of the gradient in c_{t-1} at each step, `[t, ...]`, see `Credit.scale`; they get no gradient.
    """
    if length(a) > 1 and one_after_another((a, b, carry)):
        return jax.tree.map(_loop, a, b, carry)
    return solve(compose_affine, multiply_add, (a, b), carry, block)


def one_after_another(given: PyTree) -> bool:
    """Return True if `linear_recurrence` runs as a compiled loop: on a CPU, with every argument in float32."""
    if jax.default_backend() != "cpu" or any(leaf.dtype != jnp.float32 for leaf in jax.tree.leaves(given)):
        return False
    return LINEAR.name in build.REGISTERED or calibration.find(LINEAR, USUAL).why_not is None


def _loop(a: Array, b: Array, carry: Array) -> Array:
    """Return c `[t, ...]` of a leaf; not for t = 1, where XLA loses the kind of call in second derivatives."""
    out = jax.ShapeDtypeStruct(a.shape, a.dtype)
    return jax.ffi.ffi_call(build.target(LINEAR, "recurrence"), out, vmap_method="sequential")(a, b, carry)


def _forward(a, b, carry, block, factors):
    carries = linear_recurrence(a, b, carry, block)
    return carries, (a, carry, carries, factors)


def _backward(block, residuals, dcarries):
    a, carry, carries, factors = residuals
    through = a if factors is None else jax.tree.map(jnp.multiply, a, factors)
    # In reversed time: lambda_t = dcarries_t + a_{t+1} lambda_{t+1}.
    shifted = jax.tree.map(lambda x: jnp.concatenate([jnp.zeros_like(x[:1]), jnp.flip(x[1:], 0)]), through)
    flipped = jax.tree.map(lambda x: jnp.flip(x, 0), dcarries)
    nothing = jax.tree.map(jnp.zeros_like, carry)
    db = jax.tree.map(lambda x: jnp.flip(x, 0), linear_recurrence(shifted, flipped, nothing, block))
    before = entering(carry, carries)
    da = jax.tree.map(jnp.multiply, db, before)
    unmoved = jax.tree.map(jnp.zeros_like, factors)
    return da, db, jax.tree.map(lambda a, d: a[0] * d[0], through, db), unmoved


linear_recurrence.defvjp(_forward, _backward)
