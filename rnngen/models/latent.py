"""Dense layers, and the Gaussians that they give: the networks of a latent variable."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnngen.cells.initializers import lecun
from rnngen.types import Array, Key, Params, at_least_float32

SMALLEST = 1e-3  # of a latent standard deviation, below which float32's log-densities get coarse


class Gaussian(NamedTuple):
    """Independent Gaussians: mean and standard deviation `[*b, z]`."""

    mean: Array
    scale: Array

    def at(self, noise: Array) -> Array:
        """Map standard normal noise to a value of this distribution."""
        return self.mean + self.scale * noise

    def log_prob(self, z: Array) -> Array:
        """Compute the log-density at z: `[*b]`."""
        each = -0.5 * ((z - self.mean) / self.scale) ** 2 - jnp.log(self.scale) - 0.5 * math.log(2 * math.pi)
        return jnp.sum(each, axis=-1)

    def kl_to(self, other: "Gaussian") -> Array:
        """Compute the Kullback-Leibler divergence from this to the other, in closed form: `[*b]`."""
        ratio, shift = self.scale / other.scale, (self.mean - other.mean) / other.scale
        return jnp.sum(0.5 * (ratio**2 + shift**2 - 1) - jnp.log(ratio), axis=-1)


def init_dense(key: Key, *widths: int) -> Params:
    """Draw the parameters of dense layers of these widths, the input's first."""
    keys = jax.random.split(key, len(widths) - 1)
    return {
        f"dense_{i}": {"kernel": lecun()(k, (a, b)), "bias": jnp.zeros(b)}
        for i, (k, a, b) in enumerate(zip(keys, widths[:-1], widths[1:], strict=True))
    }


def run_dense(layers: Params, x: Array) -> Array:
    """Apply dense layers with ReLU between them."""
    for i in range(len(layers)):
        x = jax.nn.relu(x) if i else x
        x = x @ layers[f"dense_{i}"]["kernel"] + layers[f"dense_{i}"]["bias"]
    return x


def gaussian_of(layers: Params, h: Array) -> Gaussian:
    """Compute the Gaussian that dense layers make of h."""
    mean, raw = jnp.split(at_least_float32(run_dense(layers, h)), 2, axis=-1)
    return Gaussian(mean, jax.nn.softplus(raw) + SMALLEST)
