"""The mixture of logistics sums to one over its levels whatever the parameters, and its samples follow it."""

import jax
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import logistic

from rnngen.heads import logistic_mixture


def table(outputs, levels):
    """log-probabilities `[n, levels]` of outputs `[n, 3k]`."""
    head = logistic_mixture(outputs.shape[-1] // 3, levels)
    return np.asarray(jax.jit(head.log_prob)(outputs[:, None, :], np.arange(levels)[None]), np.float64)


def draw(head, outputs, temperature=1.0):
    return np.asarray(jax.jit(head.sample, static_argnums=2)(jax.random.key(0), outputs, temperature))


@pytest.mark.slow
@pytest.mark.parametrize("levels", [2, 3, 256])
def test_sums_to_one(levels):
    outputs = np.random.RandomState(1).normal(scale=2, size=(60, 9)).astype(np.float32)
    np.testing.assert_allclose(logsumexp(table(outputs, levels), axis=-1), 0, atol=1e-4)


def test_sums_to_one_at_extreme_parameters():
    outputs = np.random.RandomState(0).choice([-1e3, -1, 0.1, 1, 1e3], (300, 9))
    log_probs = table(outputs.astype(np.float32), 256)
    assert np.isfinite(log_probs).all()
    np.testing.assert_allclose(logsumexp(log_probs, axis=-1), 0, atol=1e-4)


def test_is_the_mixture_of_scipy_s_logistics():
    outputs = np.array([0.5, -0.5, 0.2, -0.9, -2.0, -1.0])
    weights = np.exp(outputs[:2]) / np.exp(outputs[:2]).sum()
    edges = np.concatenate([[-np.inf], (2 * np.arange(15) + 1) / 15 - 1, [np.inf]])
    expected = sum(
        w * np.diff(logistic(mean, np.exp(7 * np.tanh(raw / 7))).cdf(edges))
        for w, mean, raw in zip(weights, outputs[2:4], outputs[4:], strict=True)
    )
    np.testing.assert_allclose(np.exp(table(outputs.astype(np.float32)[None], 16)[0]), expected, rtol=1e-4)


def test_samples_follow_it():
    outputs = np.array([[0.5, -0.5, 0.2, -0.9, -2.0, -1.0]], np.float32)
    drawn = draw(logistic_mixture(2, 16), np.repeat(outputs, 20000, axis=0))
    assert drawn.dtype == np.int32
    frequencies = np.bincount(drawn, minlength=16) / 20000
    np.testing.assert_allclose(frequencies, np.exp(table(outputs, 16)[0]), atol=0.012)


@pytest.mark.parametrize("temperature", [0.25, 1.0])
def test_temperature_multiplies_the_variance(temperature):
    outputs = np.broadcast_to(np.array([0.0, 0.1, -3.0], np.float32), (20000, 3))
    drawn = draw(logistic_mixture(1), outputs, temperature)
    scale = 127.5 * np.exp(7 * np.tanh(-3 / 7)) * temperature**0.5
    assert drawn.mean() == pytest.approx(127.5 * 1.1, abs=0.3)
    assert drawn.std() == pytest.approx(scale * np.pi / 3**0.5, rel=0.03)


def test_samples_stay_among_the_levels_and_greedy_takes_the_mean():
    head = logistic_mixture(2, 100)
    outputs = [[0.0, 1.0, 0.0, 1e3, 0.0, 1e3], [1.0, 0.0, -1e3, 0.0, 1e3, 0.0], [1.0, 0.0, 0.01, 9, 0, 0]]
    outputs = np.repeat(np.array(outputs, np.float32), 500, axis=0)
    np.testing.assert_array_equal(draw(head, outputs, 0)[::500], [99, 0, 50])
    drawn = draw(head, outputs)
    assert (drawn.min(), drawn.max()) == (0, 99)


def test_one_level_is_none():
    with pytest.raises(ValueError, match="levels must be at least 2, got 1"):
        logistic_mixture(3, levels=1)
