"""Normalisation of features: by their root mean square, or by mean and variance."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from rnngen.types import Array, Params, at_least_float32

NORMS = ("rms", "layer", "none")
EPSILON = 1e-6  # added to the variance


def init_norm(kind: str, width: int) -> Params:
    """Make the parameters of a norm, which changes nothing but the scale at first.

    Args:
      kind: "rms" (Zhang and Sennrich 2019), "layer" (Ba et al. 2016) or "none".
      width: d, the number of features.

    Returns:
      `scale [d]`, and for "layer" `bias [d]`; nothing for "none".
    """
    parts = {"rms": ("scale",), "layer": ("scale", "bias"), "none": ()}[kind]
    return {name: jnp.full(width, float(name == "scale"), jnp.float32) for name in parts}


def normed(params: Mapping[str, Array], xs: Array) -> Array:
    """Compute `scale * x / sqrt(mean(x^2))`, or with a bias `scale * (x - mean(x)) / std(x) + bias`, over features.

    Args:
      params: of `init_norm`.
      xs: `[..., d]`.

    Returns:
      `[..., d]` in the dtype of xs; statistics are taken in float32 at least.
    """
    if not params:
        return xs
    wide = at_least_float32(xs)
    if "bias" in params:
        wide = wide - jnp.mean(wide, axis=-1, keepdims=True)
    unit = wide * jax.lax.rsqrt(jnp.mean(wide**2, axis=-1, keepdims=True) + EPSILON)
    ys = unit.astype(xs.dtype) * params["scale"]
    return ys + params["bias"] if "bias" in params else ys
