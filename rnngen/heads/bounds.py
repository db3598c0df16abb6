"""What keeps the parameters of a density within float32: a smooth bound on the logarithm of a scale."""

import jax.numpy as jnp

from rnngen.types import Array

LOG_SCALE_LIMIT = 7.0


def log_scale(raw: Array) -> Array:
    """`raw` smoothly bounded to (-7, 7) and hardly changed near 0: scales between 0.0009 and 1100.

    Without a floor a density grows for ever on data that lie on a grid or stand still, and its gradient with it.
    """
    return LOG_SCALE_LIMIT * jnp.tanh(raw / LOG_SCALE_LIMIT)
