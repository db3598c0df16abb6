"""Gaussians integrate to one, and have the mean and the deviation that they should."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnngen.heads import gaussian


@pytest.mark.parametrize("raw", [None, -1.0, 2.0])
def test_integrates_to_one(raw):
    head = gaussian(1, scale=0.7, learned=raw is not None)
    outputs = np.array([0.3] if raw is None else [0.3, raw], np.float32)
    grid = np.linspace(-40, 40, 16001, dtype=np.float32)[:, None]
    density = np.exp(np.asarray(jax.jit(head.log_prob)(outputs, grid), np.float64))
    assert density.sum() * 80 / 16000 == pytest.approx(1, rel=1e-5)


def test_fixed_scale_is_the_density_written_out():
    outputs, targets = jnp.array([1.0, -2.0]), jnp.array([1.5, 0.0])
    expected = -(0.5**2 + 2**2) / (2 * 0.25) - 2 * math.log(0.5) - math.log(2 * math.pi)
    assert float(gaussian(2, scale=0.5).log_prob(outputs, targets)) == pytest.approx(expected, rel=1e-6)


def test_samples_of_a_fixed_scale():
    drawn = gaussian(2, scale=0.5).sample(jax.random.key(0), jnp.ones((20000, 2)), 2.0)
    assert float(drawn.mean()) == pytest.approx(1, abs=0.02)
    assert float(drawn.std()) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_samples_of_a_learned_scale(temperature):
    outputs = jnp.broadcast_to(jnp.array([1.0, -3.0, -1.0, 1.0]), (20000, 4))
    drawn = np.asarray(gaussian(2, scale=2.0, learned=True).sample(jax.random.key(0), outputs, temperature))
    expected = 2 * temperature * np.exp(7 * np.tanh(np.array([-1.0, 1.0]) / 7))
    np.testing.assert_allclose(drawn.mean(axis=0), [1, -3], atol=4 * expected.max() / 20000**0.5)
    np.testing.assert_allclose(drawn.std(axis=0), expected, rtol=0.02)


def test_greedy_takes_the_mean():
    drawn = gaussian(2, learned=True).sample(jax.random.key(0), jnp.array([1.0, -3.0, 5.0, 5.0]), 0)
    np.testing.assert_array_equal(drawn, [1, -3])


def test_the_best_learned_scale_is_the_data_s_deviation():
    """Where the gradient with respect to the scale vanishes: at the root mean square of what is left."""
    targets = (np.random.RandomState(0).normal(size=(500, 1)) * 0.3).astype(np.float32)
    head = gaussian(1, learned=True)
    slope = jax.jit(jax.grad(lambda raw: head.log_prob(jnp.stack([jnp.zeros(()), raw]), targets).mean()))
    best = 7 * math.atanh(math.log(float(np.sqrt(np.mean(targets**2)))) / 7)
    assert float(slope(best)) == pytest.approx(0, abs=1e-5)
    assert float(slope(best - 0.1)) > 0.1


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
def test_bad_arguments(scale):
    with pytest.raises(ValueError, match="scale must be positive, got"):
        gaussian(1, scale=scale)
