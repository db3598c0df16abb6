"""The state of a backward pass over chunks of time."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnngen.engines import trees
from rnngen.types import Carry, Params, PyTree, at_least_float32


class Residuals(NamedTuple):
    """Residuals of a forward pass, `[t, *b, ...]`: the carries that leave the steps, and the method's own."""

    carries: Carry
    extra: PyTree = None


class Gradient(NamedTuple):
    """Gradients so far, floats only: in the carry before the chunks seen, and in params, in float32 or wider."""

    carry: Carry
    params: Params

    @classmethod
    def start(cls, params: Params, dlast: Carry) -> "Gradient":
        """Return the gradient in the last carry, and zeros for params: no chunk has been seen yet."""
        zeros = jax.tree.map(lambda p: jnp.zeros_like(at_least_float32(p)), trees.floats(params))
        return cls(trees.floats(dlast), zeros)
