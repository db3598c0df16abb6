"""Independent Gaussians with a fixed or learned standard deviation."""

import math

import jax
import jax.numpy as jnp

from rnngen.heads.bounds import log_scale
from rnngen.heads.categorical import check_sampling
from rnngen.heads.head import Head
from rnngen.types import check_positive


def gaussian(dim: int = 1, scale: float = 1.0, learned: bool = False) -> Head:
    """Make the head of independent Gaussians of standard deviation `scale` around the outputs.

    Targets: `[*t, *b, dim]`. Temperature multiplies the standard deviation, so 0 takes the mean.

    Args:
      dim: the number of features.
      scale: the standard deviation, or the factor of the learned ones.
      learned: the outputs are the means, then as many numbers r for standard deviations scale * exp(7 tanh(r / 7)),
        between 0.0009 and 1100 times `scale`.

    Returns:
      The head.

    Raises:
      ValueError: dim or scale is not positive.
    """
    check_positive(dim=dim)
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"scale must be positive, got {scale}")
    constant = dim * (math.log(scale) + 0.5 * math.log(2 * math.pi))

    def split(outputs):
        """Return means and log factors of `scale`, `[..., dim]` each."""
        if not learned:
            return outputs, jnp.zeros_like(outputs)
        mean, raw = jnp.split(outputs, 2, axis=-1)
        return mean, log_scale(raw)

    def log_prob(outputs, targets):
        mean, log_s = split(outputs)
        z = (targets - mean) * jnp.exp(-log_s) / scale
        return -jnp.sum(0.5 * z**2 + log_s, axis=-1) - constant

    def sample(key, outputs, temperature=1.0):
        check_sampling(temperature)
        mean, log_s = split(outputs)
        return mean + scale * temperature * jnp.exp(log_s) * jax.random.normal(key, mean.shape, mean.dtype)

    return Head(2 * dim if learned else dim, log_prob, sample, lambda outputs: split(outputs)[0])
