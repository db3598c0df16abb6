"""Independent Laplace distributions, whose negative log-likelihood is the absolute error."""

import math

import jax
import jax.numpy as jnp

from rnngen.heads.categorical import check_sampling
from rnngen.heads.head import Head
from rnngen.types import check_positive


def laplace(dim: int = 1, scale: float = 1.0) -> Head:
    """Make the head of independent Laplace distributions of this scale around the outputs.

    log p = -|y - output| / scale - log(2 scale), summed over targets `[*t, *b, dim]`. Temperature multiplies the scale,
    so 0 takes the median, which is the output.

    Args:
      dim: the number of features.
      scale: of the distributions.

    Returns:
      The head.

    Raises:
      ValueError: dim or scale is not positive.
    """
    check_positive(dim=dim)
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"scale must be positive, got {scale}")

    def log_prob(outputs, targets):
        return -jnp.sum(jnp.abs(targets - outputs), axis=-1) / scale - dim * math.log(2 * scale)

    def sample(key, outputs, temperature=1.0):
        check_sampling(temperature)
        return outputs + scale * temperature * jax.random.laplace(key, outputs.shape, outputs.dtype)

    return Head(dim, log_prob, sample)
