"""What stands before and after the recurrent layers, and what training leaves out: modules of Flax NNX.

Imported when a model is first built, since Flax takes as long to import as JAX.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from rnngen.types import Array, InputSpec, Key, Params


class Ends(nnx.Module):
    """The embedding and the head."""

    def __init__(self, spec: InputSpec, num_params: int, hidden_dim: int, embed_dim, head_init, dtype, *, rngs):
        self.dim, self.tokens, self.dtype = spec.dim, spec.tokens, dtype
        self.embed = nnx.Embed(spec.dim, embed_dim, rngs=rngs) if embed_dim else None
        self.head = nnx.Linear(hidden_dim, num_params, kernel_init=head_init, dtype=dtype, rngs=rngs)

    def encode(self, inputs):
        """What the first layer reads `[..., d]`."""
        if not self.tokens:
            return inputs.astype(self.dtype)
        if self.embed is None:
            return jax.nn.one_hot(inputs, self.dim, dtype=self.dtype)
        return self.embed(inputs).astype(self.dtype)

    def decode(self, ys):
        """What the head makes of the last layer's output `[..., h]`."""
        # Losses are taken in float32 at least, whatever the layers compute in.
        return self.head(ys).astype(jnp.float32 if self.dtype.itemsize < 4 else self.dtype)


def structure(ends: Callable[..., Ends]) -> Any:
    """The module without its parameters."""
    return nnx.split(nnx.eval_shape(lambda: ends(rngs=nnx.Rngs(0))))[0]


def merged(structure: Any, params: Params) -> Ends:
    """The module with these parameters in it."""
    return nnx.merge(structure, params)


def first_params(ends: Callable[..., Ends], key: Key) -> Params:
    """New parameters, as a nested dict of arrays."""
    return nnx.to_pure_dict(nnx.state(ends(rngs=nnx.Rngs(key)), nnx.Param))


def dropped(xs: Array, rate: float, key: Key, axes: tuple[int, ...] = ()) -> Array:
    """A share of zeros, and the rest larger by as much; axes: along which the same is left out."""
    return nnx.Dropout(rate, broadcast_dims=axes)(xs, deterministic=False, rngs=key)
