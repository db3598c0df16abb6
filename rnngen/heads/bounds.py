"""A smooth bound on the logarithm of a scale, which keeps densities within float32."""

import jax.numpy as jnp

from rnngen.types import Array

LOG_SCALE_LIMIT = 7.0


def log_scale(raw: Array) -> Array:
    """Bound `raw` smoothly to (-7, 7), hardly changed near 0: scales between 0.0009 and 1100.

    Without a lower bound, densities and their gradients grow without limit on data that are discrete or constant.
    """
    return LOG_SCALE_LIMIT * jnp.tanh(raw / LOG_SCALE_LIMIT)
