"""A mixture density of pen movements: a mixture of bivariate Gaussians, and a bit for a lifted pen.

Graves 2013, "Generating Sequences With Recurrent Neural Networks" (arXiv 1308.0850), section 4:

p(dx, dy, pen) = sum_j pi_j N(dx, dy; mu_j, sigma_j, rho_j) * Bernoulli(pen)
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnngen.heads.bernoulli import bernoulli
from rnngen.heads.bounds import log_scale
from rnngen.heads.categorical import check_sampling, draw_component
from rnngen.heads.head import Head
from rnngen.types import Array, check_positive

# At 1 the density would degenerate to a line, and be infinite there.
LARGEST_CORRELATION = 0.999


class _Mixture(NamedTuple):
    """The components, `[..., k]`: logit, means, log standard deviations, correlation."""

    logits: Array
    mean_x: Array
    mean_y: Array
    log_x: Array
    log_y: Array
    rho: Array


def mixture_density(components: int = 20) -> Head:
    """Make the head of a pen's offset and lift after it. Targets: `[*t, *b, 3]` = dx, dy, lifted (0 or 1).

    The 6k + 1 outputs are, in blocks of k: the components' logits, x means, y means, numbers r for the x and then the y
    standard deviations exp(7 tanh(r / 7)), numbers q for the correlations 0.999 tanh(q); last the pen's logit.

    Temperature divides the logits of components and pen and multiplies the variances (Ha and Eck 2017,
    arXiv 1704.03477, section 3.3); 0 takes the mean of the most probable component and the more probable pen.

    Args:
      components: k, the number of Gaussians.

    Returns:
      The head.
    """
    check_positive(components=components)
    pen = bernoulli(1)

    def split(outputs) -> tuple[_Mixture, Array]:
        *blocks, pen_logit = jnp.split(outputs, [components * i for i in range(1, 7)], axis=-1)
        logits, mean_x, mean_y, raw_x, raw_y, raw_rho = blocks
        rho = LARGEST_CORRELATION * jnp.tanh(raw_rho)
        return _Mixture(logits, mean_x, mean_y, log_scale(raw_x), log_scale(raw_y), rho), pen_logit

    def log_prob(outputs, targets):
        m, pen_logit = split(outputs)
        densities = jax.nn.log_softmax(m.logits) + _log_gaussian(m, targets[..., 0:1], targets[..., 1:2])
        return jax.nn.logsumexp(densities, axis=-1) + pen.log_prob(pen_logit, targets[..., 2:])

    def sample(key, outputs, temperature=1.0):
        check_sampling(temperature)
        key_component, key_offset, key_pen = jax.random.split(key, 3)
        m, pen_logit = split(outputs)
        one = draw_component(key_component, m, temperature)
        e = math.sqrt(temperature) * jax.random.normal(key_offset, (2, *one.rho.shape), outputs.dtype)
        dx = one.mean_x + jnp.exp(one.log_x) * e[0]
        dy = one.mean_y + jnp.exp(one.log_y) * (one.rho * e[0] + jnp.sqrt(1 - one.rho**2) * e[1])
        lifted = pen.sample(key_pen, pen_logit, temperature).astype(outputs.dtype)
        return jnp.concatenate([dx, dy, lifted], axis=-1)

    def mean(outputs):
        m, pen_logit = split(outputs)
        shares = jax.nn.softmax(m.logits)
        offset = [jnp.sum(shares * x, axis=-1, keepdims=True) for x in (m.mean_x, m.mean_y)]
        return jnp.concatenate([*offset, pen.mean(pen_logit)], axis=-1)

    return Head(6 * components + 1, log_prob, sample, mean)


def _log_gaussian(m: _Mixture, x: Array, y: Array) -> Array:
    """Return the log density of each component, `[..., k]`, from x and y `[..., 1]`."""
    zx, zy = (x - m.mean_x) * jnp.exp(-m.log_x), (y - m.mean_y) * jnp.exp(-m.log_y)
    rest = 1 - m.rho**2
    # As a sum of squares: the usual zx^2 + zy^2 - 2 rho zx zy cancels, and rounding can make it negative.
    distance = zx**2 + (zy - m.rho * zx) ** 2 / rest
    return -0.5 * (distance + jnp.log(rest)) - m.log_x - m.log_y - math.log(2 * math.pi)
