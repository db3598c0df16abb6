"""A mixture density of vectors: Gaussians of learned means and scales (Bishop 1994, "Mixture Density Networks").

p(y) = sum_j pi_j prod_i N(y_i; mu_ji, sigma_ji)
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnngen.heads.bounds import log_scale
from rnngen.heads.categorical import check_sampling, draw_class
from rnngen.heads.head import Head
from rnngen.types import Array, check_positive


class _Mixture(NamedTuple):
    """The components: logits `[..., k]`, means and log standard deviations `[..., k, dim]`."""

    logits: Array
    mean: Array
    log_s: Array


def gaussian_mixture(dim: int = 1, components: int = 1) -> Head:
    """Make the head of a mixture of Gaussians with diagonal covariances. Targets: `[*t, *b, dim]`.

    One component is a Gaussian with a learned standard deviation. A target that is NaN was not observed, and is
    integrated out: it takes no part in the density.

    The k (1 + 2 dim) outputs are: the components' logits, then their means, then numbers r for the standard deviations
    exp(7 tanh(r / 7)), the last two component by component.

    Temperature divides the logits of the components and multiplies the variances (Ha and Eck 2017); 0 takes the mean of
    the most probable component.

    Args:
      dim: the number of features.
      components: k, the number of Gaussians.

    Returns:
      The head.

    Raises:
      ValueError: dim or components is not positive.
    """
    check_positive(dim=dim, components=components)
    block = components * dim

    def split(outputs) -> _Mixture:
        logits, mean, raw = jnp.split(outputs, [components, components + block], axis=-1)
        shape = (*outputs.shape[:-1], components, dim)
        return _Mixture(logits, mean.reshape(shape), log_scale(raw.reshape(shape)))

    def log_prob(outputs, targets):
        m, observed = split(outputs), ~jnp.isnan(targets)
        z = (jnp.where(observed, targets, 0)[..., None, :] - m.mean) * jnp.exp(-m.log_s)
        each = -0.5 * z**2 - m.log_s - 0.5 * math.log(2 * math.pi)
        density = jnp.sum(jnp.where(observed[..., None, :], each, 0), axis=-1)
        return jax.nn.logsumexp(jax.nn.log_softmax(m.logits) + density, axis=-1)

    def sample(key, outputs, temperature=1.0):
        check_sampling(temperature)
        key_component, key_value = jax.random.split(key)
        m = split(outputs)
        chosen = draw_class(key_component, m.logits, temperature)[..., None, None]
        mean, log_s = (jnp.take_along_axis(x, chosen, axis=-2)[..., 0, :] for x in (m.mean, m.log_s))
        return mean + math.sqrt(temperature) * jnp.exp(log_s) * jax.random.normal(key_value, mean.shape, mean.dtype)

    def mean(outputs):
        m = split(outputs)
        return jnp.sum(jax.nn.softmax(m.logits)[..., None] * m.mean, axis=-2)

    return Head(components * (1 + 2 * dim), log_prob, sample, mean)
