"""The embedding and head around the recurrent layers, and dropout: modules of Flax NNX.

Imported when a model is first built, since Flax takes as long to import as JAX.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from rnngen.types import Array, InputSpec, Key, Params, at_least_float32

_NORMS: dict[str, Callable] = {
    "none": lambda width, dtype, rngs: None,
    "rms": lambda width, dtype, rngs: nnx.RMSNorm(width, dtype=dtype, rngs=rngs),
    "layer": lambda width, dtype, rngs: nnx.LayerNorm(width, dtype=dtype, rngs=rngs),
}


class Ends(nnx.Module):
    """The embedding and the head; of blocks also a linear layer before the first, and a norm after the last."""

    def __init__(
        self, spec: InputSpec, num_params: int, hidden_dim: int, embed_dim, head_init, dtype, inlet_dim, norm, *, rngs
    ):
        self.dim, self.tokens, self.dtype = spec.dim, spec.tokens, dtype
        self.embed = nnx.Embed(spec.dim, embed_dim, rngs=rngs) if embed_dim else None
        self.head = nnx.Linear(hidden_dim, num_params, kernel_init=head_init, dtype=dtype, rngs=rngs)
        inlet = inlet_dim and nnx.Linear(embed_dim or spec.dim, inlet_dim, dtype=dtype, rngs=rngs)
        self.inlet, self.norm = inlet or None, _NORMS[norm](hidden_dim, dtype, rngs)

    def encode(self, inputs, mask=None):
        """Return the input of the first layer, `[..., d]`; what is masked may hold anything."""
        xs = self._embedded(inputs)
        if self.inlet is None:
            return xs
        return self.inlet(xs if mask is None else jnp.where(mask[..., None], xs, 0))

    def _embedded(self, inputs):
        if not self.tokens:
            return inputs.astype(self.dtype)
        if self.embed is None:
            return jax.nn.one_hot(inputs, self.dim, dtype=self.dtype)
        return self.embed(inputs).astype(self.dtype)

    def decode(self, ys):
        """Return the head's parameters for the last layer's output `[..., h]`."""
        # Losses are taken in float32 at least, whatever the layers compute in.
        return at_least_float32(self.head(ys if self.norm is None else self.norm(ys)))


def structure(ends: Callable[..., Ends]) -> Any:
    """Return the module without its parameters."""
    return nnx.split(nnx.eval_shape(lambda: ends(rngs=nnx.Rngs(0))))[0]


def merged(structure: Any, params: Params) -> Ends:
    """Return the module with these parameters in it."""
    return nnx.merge(structure, params)


def first_params(ends: Callable[..., Ends], key: Key) -> Params:
    """Draw parameters, as a nested dict of arrays."""
    return nnx.to_pure_dict(nnx.state(ends(rngs=nnx.Rngs(key)), nnx.Param))


def dropped(xs: Array, rate: float, key: Key, axes: tuple[int, ...] = ()) -> Array:
    """Drop a share of the features and scale the rest up; the mask is shared along `axes`."""
    return nnx.Dropout(rate, broadcast_dims=axes)(xs, deterministic=False, rngs=key)
