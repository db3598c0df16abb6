"""Output distributions integrate or sum to one, and their samples follow them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnngen.heads import categorical, gaussian


def test_categorical_sums_to_one_and_is_stable():
    head = categorical(5)
    logits = jnp.array([[1e4, 0.0, -1e4, 3.0, 2.0], [0.1, 0.2, 0.3, 0.4, 0.5]])
    log_probs = jnp.stack([head.log_prob(logits, jnp.full(2, c)) for c in range(5)])
    np.testing.assert_allclose(jnp.exp(log_probs).sum(axis=0), 1, rtol=1e-6)
    assert bool(jnp.isfinite(log_probs).all())


def test_categorical_samples_follow_it():
    head, logits = categorical(3), jnp.array([0.0, 1.0, 2.0])
    drawn = head.sample(jax.random.key(0), jnp.broadcast_to(logits, (20000, 3)))
    np.testing.assert_allclose(np.bincount(drawn) / 20000, jax.nn.softmax(logits), atol=0.015)
    cold = head.sample(jax.random.key(1), jnp.broadcast_to(logits, (1000, 3)), 0.01)
    np.testing.assert_array_equal(cold, 2)


def test_gaussian_integrates_to_one():
    grid = jnp.linspace(-10, 10, 4001)[:, None]
    density = jnp.exp(gaussian(1, scale=0.7).log_prob(jnp.full_like(grid, 0.3), grid))
    assert float(jnp.sum(density) * 20 / 4000) == pytest.approx(1, rel=1e-5)


def test_gaussian_samples_follow_it():
    drawn = gaussian(2, scale=0.5).sample(jax.random.key(0), jnp.ones((20000, 2)), 2.0)
    assert float(drawn.mean()) == pytest.approx(1, abs=0.02)
    assert float(drawn.std()) == pytest.approx(1, abs=0.02)


def test_sizes_are_positive():
    for head in (categorical, gaussian):
        with pytest.raises(ValueError, match="must be a positive whole number, got 0"):
            head(0)
