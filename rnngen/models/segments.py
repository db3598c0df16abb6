"""Masks and resets for layers that see all steps at once: unmasked steps together, each with its sequence's number.

Where the steps that count stand next to each other, a layer is right about masks if it is causal, and about resets if
no step sees one of another segment.
"""

import jax.numpy as jnp

from rnngen.engines.steps import where
from rnngen.types import Array


def compact(xs: Array, mask: Array | None, resets: Array | None) -> tuple[Array, Array | None]:
    """Move the unmasked steps to the front, in their order.

    Args:
      xs: inputs `[t, *b, d]`.
      mask, resets: bool `[t, *b]` as in `unroll`, or None. A reset at a masked step counts.

    Returns:
      `[t, *b, d]`, whose masked steps are zeros at the end, and the number of resets up to each step `[t, *b]`; None
      without resets.
    """
    numbers = None if resets is None else jnp.cumsum(resets, axis=0, dtype=jnp.int32)
    if mask is None:
        return xs, numbers
    order = jnp.argsort(~mask, axis=0, stable=True)
    xs = jnp.take_along_axis(where(mask, xs, 0), order[..., None], axis=0)
    return xs, None if numbers is None else jnp.take_along_axis(numbers, order, axis=0)


def restore(ys: Array, mask: Array | None) -> Array:
    """Move steps back to where `compact` took them from.

    Args:
      ys: outputs `[t, *b, h]` of compact steps.
      mask: that `compact` was given.

    Returns:
      `[t, *b, h]`, zeros where masked.
    """
    if mask is None:
        return ys
    rank = jnp.maximum(jnp.cumsum(mask, axis=0, dtype=jnp.int32) - 1, 0)
    return where(mask, jnp.take_along_axis(ys, rank[..., None], axis=0), 0)


def shifted(xs: Array, steps: int, segments: Array | None) -> Array:
    """Take what was `steps` steps ago.

    Args:
      xs: `[t, *b, d]`.
      steps: 0 or more.
      segments: `[t, *b]`, or None.

    Returns:
      `[t, *b, d]`, zeros before the first step of a segment.
    """
    before = _delayed(xs, steps)
    if segments is None or not steps:
        return before
    # No segment has the number -1, which stands before the first step.
    return where(_delayed(segments + 1, steps) == segments + 1, before, 0)


def _delayed(xs: Array, steps: int) -> Array:
    if not steps:
        return xs
    return jnp.concatenate([jnp.zeros_like(xs[:steps]), xs[:-steps]])
