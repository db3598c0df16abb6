"""What a backward pass over chunks of time hands from chunk to chunk."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnngen.engines import trees
from rnngen.types import Carry, Params, PyTree


class Residuals(NamedTuple):
    """What a forward pass keeps, `[t, *b, ...]`: the carries that leave its steps, and what the method wants."""

    carries: Carry
    extra: PyTree = None


class Gradient(NamedTuple):
    """Gradients so far, of floats only: in the carry before the chunks seen, and in params, in float32 at least."""

    carry: Carry
    params: Params

    @classmethod
    def start(cls, params: Params, dlast: Carry) -> "Gradient":
        """Before any chunk has been seen: the gradient in the last carry, and zeros."""
        wide = lambda p: jnp.float32 if p.dtype.itemsize < 4 else p.dtype  # noqa: E731
        zeros = jax.tree.map(lambda p: jnp.zeros(p.shape, wide(p)), trees.floats(params))
        return cls(trees.floats(dlast), zeros)
