"""Bits sum to one, stay finite, and come up as often as they should."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnngen.heads import bernoulli


def test_all_words_of_bits_sum_to_one():
    logits = jnp.array([0.3, -2.0, 1.0])
    words = jnp.array(list(itertools.product([0, 1], repeat=3)))
    log_probs = bernoulli(3).log_prob(jnp.broadcast_to(logits, (8, 3)), words)
    assert float(jnp.exp(log_probs).sum()) == pytest.approx(1, rel=1e-6)
    p = 1 / (1 + np.exp(-np.array([0.3, -2.0, 1.0])))
    assert float(log_probs[5]) == pytest.approx(np.log(p[0] * (1 - p[1]) * p[2]), rel=1e-5)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.int32, jnp.bool_, jnp.uint8])
def test_targets_may_be_of_any_type(dtype):
    logits = jnp.array([1e4, -1e4, 1e4, -1e4])
    assert float(bernoulli(4).log_prob(logits, jnp.array([1, 0, 1, 0]).astype(dtype))) == 0
    assert float(bernoulli(4).log_prob(logits, jnp.array([0, 0, 1, 1]).astype(dtype))) == -2e4


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_samples_follow_the_logits_over_the_temperature(temperature):
    logits = jnp.array([-1.0, 0.0, 2.0])
    drawn = np.asarray(bernoulli(3).sample(jax.random.key(0), jnp.broadcast_to(logits, (20000, 3)), temperature))
    assert drawn.dtype == np.float32
    assert set(np.unique(drawn)) == {0, 1}
    np.testing.assert_allclose(drawn.mean(axis=0), jax.nn.sigmoid(logits / temperature), atol=0.015)
    assert abs(np.corrcoef(drawn.T)[0, 2]) < 0.03


def test_greedy_takes_the_more_probable_value():
    drawn = bernoulli(4).sample(jax.random.key(0), jnp.array([-0.1, 0.1, 0.0, 1e4]), 0)
    np.testing.assert_array_equal(drawn, [0, 1, 0, 1])
