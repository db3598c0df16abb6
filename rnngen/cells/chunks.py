"""What cells share that compose the steps of a chunk themselves, see `cells.cell.Chunked`."""

import jax.numpy as jnp

from rnngen.types import Array

LONGEST = 16  # writes of a chunk: more of them take more work, fewer more steps


def begun(count: int, resets: Array | None) -> Array:
    """Count how often a chunk has begun anew, `[n, *b, c]`, or `[c]` without resets.

    Args:
      count: c, its steps.
      resets: bool `[n, c, *b]`, or None.
    """
    return jnp.zeros(count, int) if resets is None else jnp.cumsum(jnp.moveaxis(resets, 1, -1), axis=-1)


def reaches(begun: Array, *, strictly: bool = False) -> Array:
    """Return True `[*, t, s]` where step t is not before step s, and no reset lies between them.

    Args:
      begun: `[*, c]`, of the function above.
      strictly: step t comes after step s.
    """
    earlier = jnp.tri(begun.shape[-1], k=-1 if strictly else 0, dtype=bool)
    return earlier & (begun[..., :, None] == begun[..., None, :])


def turned(x: Array) -> Array:
    """Swap the last two axes."""
    return jnp.swapaxes(x, -1, -2)
