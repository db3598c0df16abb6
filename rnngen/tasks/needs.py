"""The inputs that a task's loss cannot do without, which diagnoses of memory ask for."""

from typing import NamedTuple

import jax.numpy as jnp

from rnngen.types import Array, Batch


class Needs(NamedTuple):
    """The inputs that a loss cannot do without, and where it needs them: e of them in each example.

    Attributes:
      sources: `[e, *b]`, the steps of these inputs.
      reads: `[e, *b]`, the steps whose loss needs them.
    """

    sources: Array
    reads: Array


def read_at_end(batch: Batch, sources: Array) -> Needs:
    """Return what a loss at each example's last unmasked step needs: the inputs at steps `sources` `[e, b]`."""
    last = jnp.sum(batch.existing(), axis=0, dtype=sources.dtype) - 1
    return Needs(sources, jnp.broadcast_to(last, sources.shape))


def where_marked(marked: Array, count: int) -> Array:
    """Return the first `count` steps, in order, at which `marked` `[t, b]` is True: `[count, b]`."""
    return jnp.argsort(~marked, axis=0, stable=True)[:count]
