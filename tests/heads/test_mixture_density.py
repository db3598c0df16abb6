"""A mixture of bivariate Gaussians with a pen: against SciPy, by integration, and by the moments of its samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import noise
from scipy.stats import multivariate_normal

from rnngen.heads import mixture_density

OUTPUTS = np.array([0.2, -0.5, 1.0, -1.0, 0.5, 2.0, 0.3, -0.2, -0.4, 0.1, 0.6, -1.5, 0.8], np.float32)


def log_prob(outputs, targets):
    """Of one step's outputs at many targets."""
    head = mixture_density(len(outputs) // 6)
    return jax.jit(head.log_prob)(jnp.asarray(outputs), jnp.asarray(targets, jnp.float32))


def draw(outputs, n, temperature):
    sample = jax.jit(mixture_density(len(outputs) // 6).sample, static_argnums=2)
    return np.asarray(sample(jax.random.key(0), np.broadcast_to(outputs, (n, len(outputs))), temperature))


def parameters(outputs):
    """Weights, means `[k, 2]`, covariances `[k, 2, 2]` and the pen's probability, as the docstring has them."""
    logits, mx, my, rx, ry, q = np.asarray(outputs[:-1], np.float64).reshape(6, -1)
    sx, sy, rho = np.exp(7 * np.tanh(rx / 7)), np.exp(7 * np.tanh(ry / 7)), 0.999 * np.tanh(q)
    covariance = np.array([[sx**2, rho * sx * sy], [rho * sx * sy, sy**2]]).transpose(2, 0, 1)
    weights = np.exp(logits) / np.exp(logits).sum()
    return weights, np.stack([mx, my], axis=1), covariance, 1 / (1 + np.exp(-float(outputs[-1])))


def test_is_the_mixture_of_scipy_s_gaussians():
    weights, means, covariances, pen = parameters(OUTPUTS)
    points = np.asarray(noise((30, 2), seed=1))
    density = sum(
        w * multivariate_normal(m, c).pdf(points) for w, m, c in zip(weights, means, covariances, strict=True)
    )
    for lifted, probability in ((1, pen), (0, 1 - pen)):
        targets = np.concatenate([points, np.full((30, 1), lifted)], axis=1)
        np.testing.assert_allclose(log_prob(OUTPUTS, targets), np.log(density * probability), rtol=1e-4, atol=1e-5)


def test_integrates_to_one():
    axis = np.linspace(-15, 15, 401)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    total = 0.0
    for lifted in (0, 1):
        total += np.exp(log_prob(OUTPUTS, np.stack([x, y, np.full_like(x, lifted)], axis=-1))).sum()
    assert total * (axis[1] - axis[0]) ** 2 == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("temperature", [0.25, 1.0])
def test_samples_follow_it(temperature):
    one = np.array([0.0, 1.0, -2.0, 0.5, -0.5, 0.9, -1.0], np.float32)
    drawn = draw(one, 20000, temperature)
    _, means, covariances, _ = parameters(one)
    np.testing.assert_allclose(drawn[:, :2].mean(axis=0), means[0], atol=0.05)
    np.testing.assert_allclose(np.cov(drawn[:, :2].T), temperature * covariances[0], rtol=0.05)
    assert drawn[:, 2].mean() == pytest.approx(1 / (1 + np.exp(1 / temperature)), abs=0.015)


def test_components_are_drawn_by_their_weights():
    outputs = np.array([0.0, 1.0, -50, 50, -50, 50, -3, -3, -3, -3, 0, 0, 0], np.float32)
    for temperature in (0.5, 1.0):
        right = draw(outputs, 20000, temperature)[:, :2] > 0
        np.testing.assert_array_equal(right[:, 0], right[:, 1])
        assert right[:, 0].mean() == pytest.approx(1 / (1 + np.exp(-1 / temperature)), abs=0.015)


def test_greedy_takes_the_mean_of_the_most_probable_component():
    np.testing.assert_array_equal(draw(OUTPUTS, 2, 0), [[1, 0.5, 1], [1, 0.5, 1]])
