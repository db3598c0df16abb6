"""A discretised mixture of logistics, for ordered levels such as grey values or amplitudes.

Salimans et al. 2017, "PixelCNN++" (arXiv 1701.05517), section 2.1.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnngen.heads.bounds import log_scale
from rnngen.heads.categorical import check_sampling, draw_component
from rnngen.heads.head import Head
from rnngen.types import Array, check_positive


class _Mixture(NamedTuple):
    """The components, `[..., k]`: logit, and mean and scale in units of levels."""

    logits: Array
    mean: Array
    scale: Array


def logistic_mixture(components: int = 10, levels: int = 256) -> Head:
    """Make the head of one of `levels` levels, evenly spaced on [-1, 1]. Targets: ints `[*t, *b]` in 0..levels - 1.

    A level has the probability of all that rounds to it; the lowest and the highest also have the tails, so that
    probabilities sum to one. The 3k outputs are, in blocks of k: the components' logits, means, and numbers r for the
    scales exp(7 tanh(r / 7)); -1 and 1 are the lowest and the highest level.

    Temperature divides the logits and multiplies the variances; 0 takes the mean of the most probable component.

    Args:
      components: k, the number of logistics.
      levels: the number of levels.

    Returns:
      The head.

    Raises:
      ValueError: components is not positive, or levels is below 2.
    """
    check_positive(components=components, levels=levels)
    if levels < 2:
        raise ValueError(f"levels must be at least 2, got {levels}")
    half = (levels - 1) / 2

    def split(outputs) -> _Mixture:
        logits, mean, raw = jnp.split(outputs, 3, axis=-1)
        return _Mixture(logits, half * (mean + 1), half * jnp.exp(log_scale(raw)))

    def log_prob(outputs, targets):
        m = split(outputs)
        level = jnp.asarray(targets)[..., None].astype(outputs.dtype)
        return jax.nn.logsumexp(jax.nn.log_softmax(m.logits) + _log_mass(m, level, levels), axis=-1)

    def sample(key, outputs, temperature=1.0):
        check_sampling(temperature)
        key_component, key_level = jax.random.split(key)
        one = draw_component(key_component, split(outputs), temperature)
        noise = math.sqrt(temperature) * jax.random.logistic(key_level, one.mean.shape, outputs.dtype)
        return jnp.clip(jnp.round(one.mean + one.scale * noise), 0, levels - 1).astype(jnp.int32)[..., 0]

    def mean(outputs):
        every = jnp.arange(levels)
        probabilities = jnp.exp(log_prob(outputs[..., None, :], every))
        return jnp.sum(probabilities * every.astype(outputs.dtype), axis=-1)

    return Head(3 * components, log_prob, sample, mean)


def _log_mass(m: _Mixture, level: Array, levels: int) -> Array:
    """Return log P(level - 1/2 < x < level + 1/2), with the tails at the edges, `[..., k]` from level `[..., 1]`.

    With a and b the two ends and s the sigmoid, s(b) - s(a) = s(b) s(-a) (1 - exp(a - b)), which does not cancel.
    """
    below, above = (level - 0.5 - m.mean) / m.scale, (level + 0.5 - m.mean) / m.scale
    not_lowest, not_highest = level > 0, level < levels - 1
    inside = jnp.log(-jnp.expm1(-1 / m.scale))
    return (
        jnp.where(not_lowest, jax.nn.log_sigmoid(-below), 0)
        + jnp.where(not_highest, jax.nn.log_sigmoid(above), 0)
        + jnp.where(not_lowest & not_highest, inside, 0)
    )
