"""Output distributions: how many numbers a model must put out, their likelihood, and samples from them."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.types import check_positive


class Head(NamedTuple):
    """An output distribution.

    num_params: features a model puts out per step.
    log_prob: (outputs `[*t, *b, num_params]`, targets) -> `[*t, *b]`, natural log.
    sample: (key, outputs, temperature) -> values shaped as targets.
    """

    num_params: int
    log_prob: Callable
    sample: Callable


def categorical(num_classes: int) -> Head:
    """One of `num_classes`, from logits. Targets: ints `[*t, *b]`. Temperature divides the logits."""
    check_positive(num_classes=num_classes)

    def log_prob(outputs, targets):
        return jnp.take_along_axis(jax.nn.log_softmax(outputs), targets[..., None], axis=-1)[..., 0]

    def sample(key, outputs, temperature=1.0):
        return jax.random.categorical(key, outputs / temperature)

    return Head(num_classes, log_prob, sample)


def gaussian(dim: int = 1, scale: float = 1.0) -> Head:
    """Independent Gaussians of a fixed standard deviation `scale` around the outputs. Targets: `[*t, *b, dim]`.

    Temperature multiplies the standard deviation.
    """
    check_positive(dim=dim)

    def log_prob(outputs, targets):
        z = (targets - outputs) / scale
        return -0.5 * jnp.sum(z**2, axis=-1) - dim * float(np.log(scale) + 0.5 * np.log(2 * np.pi))

    def sample(key, outputs, temperature=1.0):
        return outputs + scale * temperature * jax.random.normal(key, outputs.shape, outputs.dtype)

    return Head(dim, log_prob, sample)
