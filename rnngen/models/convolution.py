"""A short causal convolution over time, a filter a feature: as a cell, and over all steps at once.

    y_t = bias + sum_j kernel[j] * x_{t-j},     j = 0 ... width - 1

The carry is the window `[*b, width - 1, d]` of the last unmasked inputs, the newest last, zeros at the start.
"""

import jax
import jax.numpy as jnp

from rnngen.cells import Cell
from rnngen.engines.steps import where
from rnngen.models.segments import compact, restore, shifted
from rnngen.types import Array, Carry, Key, Params


def short_convolution(width: int, features: int = 0) -> Cell:
    """Make the convolution as a cell, whose step is what `convolve` is held to.

    Args:
      width: of the filters, at least 2.
      features: d, which `Cell.output_dim` says; the parameters decide it where the input's width is not known yet.

    Returns:
      The cell, with parameters `kernel [width, d]` and `bias [d]`.
    """

    def init(key: Key, input_dim: int) -> Params:
        kernel = jax.random.normal(key, (width, input_dim), jnp.float32) * width**-0.5
        return {"kernel": kernel, "bias": jnp.zeros(input_dim, jnp.float32)}

    def init_carry(params: Params, batch_shape: tuple[int, ...]) -> Array:
        kernel = params["kernel"]
        return jnp.zeros((*batch_shape, width - 1, kernel.shape[1]), kernel.dtype)

    def step(params: Params, window: Array, x: Array) -> tuple[Array, Array]:
        seen = jnp.concatenate([window, x[..., None, :]], axis=-2)
        return seen[..., 1:, :], jnp.sum(seen * jnp.flip(params["kernel"], 0), axis=-2) + params["bias"]

    return Cell(init, init_carry, step, features)


def convolve(
    params: Params, xs: Array, window: Carry, mask: Array | None = None, resets: Array | None = None
) -> tuple[Array, Array]:
    """Convolve all steps at once.

    Args:
      params: of the cell, in the dtype of xs.
      xs: inputs `[t, *b, d]`.
      window: the carry before the first step.
      mask, resets: as in `unroll`.

    Returns:
      (the window after the last step, ys `[t, *b, d]`), as `unroll` of the cell gives them.
    """
    before = params["kernel"].shape[0] - 1
    inside, numbers = compact(xs, mask, resets)
    seen = jnp.concatenate([jnp.moveaxis(window, -2, 0), inside])
    # What was before the first step is of the sequence number 0, until the first reset.
    of = None if numbers is None else jnp.concatenate([jnp.zeros((before, *numbers.shape[1:]), jnp.int32), numbers])
    ys = params["bias"] + sum(weights * shifted(seen, lag, of)[before:] for lag, weights in enumerate(params["kernel"]))
    last = _newest(seen, before, mask)
    if of is not None and resets is not None:
        last = where(_newest(of, before, mask) == jnp.sum(resets, axis=0, dtype=jnp.int32), last, 0)
    return jnp.moveaxis(last, 0, -2), restore(ys, mask)


def _newest(seen: Array, count: int, mask: Array | None) -> Array:
    """Take the last `count` of `[count + t, *b, ...]` that are not padding, which is at the end."""
    if mask is None:
        return seen[-count:]
    first = jnp.sum(mask, axis=0, dtype=jnp.int32)
    places = jnp.stack([first + place for place in range(count)])
    return jnp.take_along_axis(seen, places.reshape(*places.shape, *(1,) * (seen.ndim - places.ndim)), axis=0)
