"""One of several classes, drawn from all of them or from the most probable only."""

import math

import jax
import jax.numpy as jnp

from rnngen.heads.head import Head
from rnngen.types import Array, Key, check_positive, is_whole

# Below it a temperature is 0 in float32, and 0 / 0 is not a number.
COLDEST = 1e-30


def categorical(num_classes: int) -> Head:
    """One of `num_classes`, from logits. Targets: ints `[*t, *b]`.

    Sampling divides the logits by the temperature, 0 taking the most probable class; then keeps the top_k most probable
    classes (0: all); then, of the probability left among these, the fewest most probable classes that together reach
    top_p (Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration"): the class that crosses it is kept.
    Of classes equally probable, the lower number counts as the more probable, so that exactly top_k are kept.
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

    return Head(num_classes, log_prob, sample)


def draw_class(key: Key, logits: Array, temperature: float) -> Array:
    """Ints `[*b]` from logits `[*b, v]` divided by the temperature; the most probable class where it is 0."""
    if temperature == 0:
        return jnp.argmax(logits, axis=-1)
    return jax.random.categorical(key, _cooled(logits, temperature))


def check_sampling(temperature: float, top_k: int = 0, top_p: float = 1.0) -> None:
    """Raise ValueError naming the first argument that no draw can be made with."""
    if not (math.isfinite(temperature) and temperature >= 0):
        raise ValueError(f"temperature must be finite and at least 0 (0 is greedy), got {temperature}")
    if not is_whole(top_k) or top_k < 0:
        raise ValueError(f"top_k must be a whole number, at least 0 (0 keeps all), got {top_k!r}")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1 (1 keeps all), got {top_p}")


def _cooled(logits: Array, temperature: float) -> Array:
    # The largest becomes 0 first, so that the division cannot overflow it.
    return (logits - jnp.max(logits, axis=-1, keepdims=True)) / max(temperature, COLDEST)


def _most_probable(ranked: Array, top_k: int, top_p: float) -> Array:
    """Logits `[*b, v]` in falling order, -inf beyond what top_k and top_p keep."""
    if top_k:
        ranked = jnp.where(jnp.arange(ranked.shape[-1]) < top_k, ranked, -jnp.inf)
    if top_p < 1:
        reached = jnp.cumsum(jax.nn.softmax(ranked), axis=-1)
        before = jnp.concatenate([jnp.zeros_like(reached[..., :1]), reached[..., :-1]], axis=-1)
        ranked = jnp.where(before < top_p, ranked, -jnp.inf)
    return ranked
