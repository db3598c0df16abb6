"""Conversions of drawn values to the next input: tokens, floats, and levels such as grey values or amplitudes."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from rnngen.types import Array


def level_feed(levels: int) -> Callable[[Array], Array]:
    """Return the conversion of levels `[*b]` in 0..levels - 1 to inputs `[*b, 1]` in [-1, 1]."""
    return lambda values: jnp.asarray(values)[..., None].astype(jnp.float32) * (2 / (levels - 1)) - 1


def float_feed(values: Array) -> Array:
    """Return values `[*b, d]` in float32."""
    return jnp.asarray(values).astype(jnp.float32)


def token_feed(values: Array) -> Array:
    """Return values `[*b]` as tokens."""
    return jnp.asarray(values).astype(jnp.int32)


FIRST_TOKEN = np.zeros((), np.int32)
