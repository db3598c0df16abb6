"""Independent bits: the keys of a piano, the pixels of a black and white image."""

import jax
import jax.numpy as jnp

from rnngen.heads.categorical import COLDEST, check_sampling
from rnngen.heads.head import Head
from rnngen.types import check_positive


def bernoulli(dim: int = 1) -> Head:
    """Make the head of `dim` independent bits, by their logits. Targets: 0/1, of any type, `[*t, *b, dim]`.

    Samples are float32. Temperature divides the logits; 0 takes the more probable value of each bit (0 at a tie).

    Args:
      dim: the number of bits.

    Returns:
      The head.
    """
    check_positive(dim=dim)

    def log_prob(outputs, targets):
        ones = jnp.asarray(targets).astype(outputs.dtype)
        bits = ones * jax.nn.log_sigmoid(outputs) + (1 - ones) * jax.nn.log_sigmoid(-outputs)
        return jnp.sum(bits, axis=-1)

    def sample(key, outputs, temperature=1.0):
        check_sampling(temperature)
        if temperature == 0:
            return (outputs > 0).astype(jnp.float32)
        probabilities = jax.nn.sigmoid(outputs / max(temperature, COLDEST))
        return jax.random.bernoulli(key, probabilities).astype(jnp.float32)

    return Head(dim, log_prob, sample, jax.nn.sigmoid)
