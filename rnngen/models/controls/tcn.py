"""A temporal convolutional network (Bai, Kolter and Koltun 2018): dilated causal convolutions with residuals.

A level i is two convolutions of dilation 2^i, each followed by a ReLU, with a residual around both:

    z = relu(conv_i(x));  y = relu(x P + relu(conv_i(z))),     conv_i(x)_t = bias + sum_j x_{t - j 2^i} W_j

P is the identity where x is as wide as y. With weight normalisation (Salimans and Kingma 2016) W is g V / |V|, the norm
and g those of each output feature.
"""

import math

import jax
import jax.numpy as jnp

from rnngen.cells.initializers import lecun
from rnngen.models.controls.control import Control
from rnngen.models.segments import shifted
from rnngen.types import Array, Key, Params, check_positive


def tcn(hidden_dim: int, *, levels: int = 4, kernel_width: int = 3, weight_norm: bool = True) -> Control:
    """Control, not recurrent: a temporal convolutional network (Bai et al. 2018).

    A step sees `2 (kernel_width - 1) (2^levels - 1)` steps back and no further.

    Args:
      hidden_dim: h, the features of every level.
      levels: residual levels; the dilation doubles from one to the next.
      kernel_width: steps that each convolution sees.
      weight_norm: normalise the weights (Salimans and Kingma 2016).

    Returns:
      The control.

    Raises:
      ValueError: an argument is out of range.
    """
    check_positive(hidden_dim=hidden_dim, levels=levels, kernel_width=kernel_width)
    if levels > 30:
        raise ValueError(f"levels must be at most 30, or a dilation is no int32, got {levels}")

    def init(key, input_dim):
        widths = [input_dim, *[hidden_dim] * levels]
        keys = jax.random.split(key, levels)
        return {f"level_{i}": _init_level(keys[i], widths[i], hidden_dim, kernel_width, weight_norm)
                for i in range(levels)}  # fmt: skip

    def apply(params, xs, segments):
        for i in range(levels):
            xs = _run_level(params[f"level_{i}"], xs, 2**i, segments)
        return xs

    return Control(init, apply, hidden_dim)


def _init_level(key: Key, input_dim: int, hidden_dim: int, width: int, weight_norm: bool) -> Params:
    first, second, key_skip = jax.random.split(key, 3)
    params = {
        "conv_0": _init_conv(first, input_dim, hidden_dim, width, weight_norm),
        "conv_1": _init_conv(second, hidden_dim, hidden_dim, width, weight_norm),
    }
    return params if input_dim == hidden_dim else params | {"skip": lecun()(key_skip, (input_dim, hidden_dim))}


def _init_conv(key: Key, input_dim: int, hidden_dim: int, width: int, weight_norm: bool) -> Params:
    # Gain sqrt(2) for the ReLU (He et al. 2015).
    kernel = lecun(math.sqrt(2))(key, (width * input_dim, hidden_dim)).reshape(width, input_dim, hidden_dim)
    norm = {"norm": jnp.linalg.norm(kernel, axis=(0, 1))} if weight_norm else {}
    return {"kernel": kernel, "bias": jnp.zeros(hidden_dim)} | norm


def _run_level(params: Params, xs: Array, dilation: int, segments: Array | None) -> Array:
    ys = jax.nn.relu(_convolve(params["conv_0"], xs, dilation, segments))
    ys = jax.nn.relu(_convolve(params["conv_1"], ys, dilation, segments))
    return jax.nn.relu(ys + (xs @ params["skip"] if "skip" in params else xs))


def _convolve(params: Params, xs: Array, dilation: int, segments: Array | None) -> Array:
    kernel = params["kernel"]
    if "norm" in params:
        kernel = kernel * (params["norm"] * jax.lax.rsqrt(jnp.sum(kernel**2, axis=(0, 1))))
    at_lags = [shifted(xs, j * dilation, segments) @ weights for j, weights in enumerate(kernel)]
    return params["bias"] + sum(at_lags[1:], at_lags[0])
