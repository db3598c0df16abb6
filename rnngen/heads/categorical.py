"""The categorical distribution, with temperature, top-k and top-p sampling."""

import math
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from rnngen.heads.head import Head
from rnngen.types import Array, Key, check_positive, is_whole

# A smaller temperature is 0 in float32, and 0 / 0 is NaN.
COLDEST = 1e-30
Mixture = TypeVar("Mixture", bound=Any)


def categorical(num_classes: int) -> Head:
    """Make the head of one of `num_classes` classes, by logits. Targets: ints `[*t, *b]`.

    Sampling divides the logits by the temperature (0 takes the most probable class), keeps the top_k most probable
    classes (0: all), and then the fewest most probable ones that together reach top_p of the remaining probability,
    including the class that crosses it (Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration"). Of
    equally probable classes the lower number counts as more probable, so that exactly top_k are kept.

    Args:
      num_classes: v, the number of classes.

    Returns:
      The head.
    """
    check_positive(num_classes=num_classes)

    def log_prob(outputs, targets):
        return jnp.take_along_axis(jax.nn.log_softmax(outputs), targets[..., None], axis=-1)[..., 0]

    def sample(key, outputs, temperature=1.0, top_k=0, top_p=1.0):
        check_sampling(temperature, top_k, top_p)
        if temperature == 0 or (top_k == 0 and top_p == 1):
            return draw_class(key, outputs, temperature)
        order = jnp.argsort(-outputs, axis=-1, stable=True)
        ranked = _cooled(jnp.take_along_axis(outputs, order, axis=-1), temperature)
        rank = jax.random.categorical(key, _most_probable(ranked, top_k, top_p))
        return jnp.take_along_axis(order, rank[..., None], axis=-1)[..., 0]

    return Head(num_classes, log_prob, sample, jax.nn.softmax)


def draw_class(key: Key, logits: Array, temperature: float) -> Array:
    """Draw ints `[*b]` by logits `[*b, v]` divided by the temperature; the most probable class where it is 0."""
    if temperature == 0:
        return jnp.argmax(logits, axis=-1)
    return jax.random.categorical(key, _cooled(logits, temperature))


def draw_component(key: Key, mixture: Mixture, temperature: float) -> Mixture:
    """Draw one component of a mixture by its `logits`: from arrays `[*b, k]` to arrays `[*b, 1]`."""
    chosen = draw_class(key, mixture.logits, temperature)[..., None]
    return jax.tree.map(lambda x: jnp.take_along_axis(x, chosen, axis=-1), mixture)


def check_sampling(temperature: float, top_k: int = 0, top_p: float = 1.0) -> None:
    """Raise ValueError naming the first argument of sampling that is out of range.

    Args:
      temperature: at least 0, and finite.
      top_k: a whole number, at least 0.
      top_p: above 0, at most 1.
    """
    if not (math.isfinite(temperature) and temperature >= 0):
        raise ValueError(f"temperature must be finite and at least 0 (0 is greedy), got {temperature}")
    if not is_whole(top_k) or top_k < 0:
        raise ValueError(f"top_k must be a whole number, at least 0 (0 keeps all), got {top_k!r}")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1 (1 keeps all), got {top_p}")


def _cooled(logits: Array, temperature: float) -> Array:
    # The largest is shifted to 0 first, so that the division cannot overflow it.
    return (logits - jnp.max(logits, axis=-1, keepdims=True)) / max(temperature, COLDEST)


def _most_probable(ranked: Array, top_k: int, top_p: float) -> Array:
    """Set logits `[*b, v]`, in falling order, to -inf unless top_k and top_p keep them."""
    if top_k:
        ranked = jnp.where(jnp.arange(ranked.shape[-1]) < top_k, ranked, -jnp.inf)
    if top_p < 1:
        reached = jnp.cumsum(jax.nn.softmax(ranked), axis=-1)
        before = jnp.concatenate([jnp.zeros_like(reached[..., :1]), reached[..., :-1]], axis=-1)
        ranked = jnp.where(before < top_p, ranked, -jnp.inf)
    return ranked
