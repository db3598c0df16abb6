"""Independent Gaussians, of a fixed or a learned standard deviation."""

import math

import jax
import jax.numpy as jnp

from rnngen.heads.bounds import log_scale
from rnngen.heads.categorical import check_sampling
from rnngen.heads.head import Head
from rnngen.types import check_positive


def gaussian(dim: int = 1, scale: float = 1.0, learned: bool = False) -> Head:
    """Independent Gaussians of standard deviation `scale` around the outputs. Targets: `[*t, *b, dim]`.

    learned: the model puts out the means, then as many numbers r; the standard deviations are then
    scale * exp(7 tanh(r / 7)), which the bound keeps between 0.0009 and 1100 times `scale`.
    Temperature multiplies the standard deviation, so 0 takes the mean.

    Raises ValueError where dim or scale is not positive.
    """
    check_positive(dim=dim)
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"scale must be positive, got {scale}")
    constant = dim * (math.log(scale) + 0.5 * math.log(2 * math.pi))

    def split(outputs):
        """Means and the logarithms of what multiplies `scale`, `[..., dim]` each."""
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

    return Head(2 * dim if learned else dim, log_prob, sample)
