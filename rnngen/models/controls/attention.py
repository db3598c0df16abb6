"""Causal attention (Vaswani et al. 2017), whose heads see every earlier step of the sequence.

With q, k, v linear in x, of head_dim features a head:

    y_t = concat_heads(sum_{s <= t} softmax_s(q_t . k_s / sqrt(head_dim)) v_s) W

Rotary positions (Su et al. 2021) turn pairs of features of q and k by an angle that grows with the step, so that a
score depends on t - s.
"""

import math

import jax
import jax.numpy as jnp

from rnngen.cells.initializers import lecun
from rnngen.models.controls.control import Control
from rnngen.types import Array, at_least_float32, check_one_of, check_positive

POSITIONS = ("rotary", "none")
SLOWEST = 10_000.0  # of the rotary angles: the last pair turns by this much less than the first


def attention(hidden_dim: int, *, heads: int = 4, positions: str = "rotary") -> Control:
    """Control, not recurrent: causal attention (Vaswani et al. 2017).

    Costs memory and time quadratic in the number of steps. A head has hidden_dim / heads features, rounded up to an
    even number.

    Args:
      hidden_dim: h, the features of the output.
      heads: that look at the past side by side.
      positions: "rotary" (Su et al. 2021), or "none": then nothing but causality tells the order.

    Returns:
      The control.

    Raises:
      ValueError: an argument is out of range.
    """
    check_positive(hidden_dim=hidden_dim, heads=heads)
    check_one_of(POSITIONS, positions=positions)
    head_dim = 2 * math.ceil(hidden_dim / heads / 2)

    def init(key, input_dim):
        key_in, key_out = jax.random.split(key)
        inside = heads * head_dim
        return {"kernel": lecun()(key_in, (input_dim, 3 * inside)), "out": lecun()(key_out, (inside, hidden_dim))}

    def apply(params, xs, segments):
        axes = xs.shape[:-1]
        q, k, v = jnp.moveaxis((xs @ params["kernel"]).reshape(*axes, 3, heads, head_dim), -3, 0)
        if positions == "rotary":
            q, k = rotated(q), rotated(k)
        scores = at_least_float32(jnp.einsum("t...hd,s...hd->ts...h", q, k)) / math.sqrt(head_dim)
        weights = jax.nn.softmax(jnp.where(_seen(len(xs), segments, scores.ndim), scores, -jnp.inf), axis=1)
        ys = jnp.einsum("ts...h,s...hd->t...hd", weights.astype(v.dtype), v)
        return ys.reshape(*axes, heads * head_dim) @ params["out"]

    return Control(init, apply, hidden_dim)


def rotated(xs: Array) -> Array:
    """Turn pairs of features by angles that grow with the step.

    Args:
      xs: `[t, ..., d]`, d even.

    Returns:
      `[t, ..., d]`: at step t the pair (i, i + d / 2) is turned by t * 10,000^(-2 i / d).
    """
    half = xs.shape[-1] // 2
    rates = jnp.asarray([SLOWEST ** (-i / half) for i in range(half)], jnp.float32)
    angles = jnp.arange(len(xs), dtype=jnp.float32)[:, None] * rates
    angles = angles.reshape(len(xs), *(1,) * (xs.ndim - 2), half)
    cos, sin = jnp.cos(angles).astype(xs.dtype), jnp.sin(angles).astype(xs.dtype)
    first, second = xs[..., :half], xs[..., half:]
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


def _seen(steps: int, segments: Array | None, ndim: int) -> Array:
    """Return which step s a step t sees, `[t, s, *b, 1]`: the earlier ones and itself, of its segment."""
    earlier = jnp.tril(jnp.ones((steps, steps), bool)).reshape(steps, steps, *(1,) * (ndim - 2))
    return earlier if segments is None else earlier & (segments[:, None] == segments[None])[..., None]
