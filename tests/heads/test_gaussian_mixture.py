"""A mixture of Gaussians against the density written out, and without what was not observed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnngen.heads import gaussian, gaussian_mixture, laplace

SHARES, MEAN, SCALE = np.array([0.3, 0.7]), np.array([[0.0, 2.0], [-1.0, 1.0]]), np.array([[0.5, 1.0], [2.0, 0.25]])
OUTPUTS = np.concatenate([np.log(SHARES), MEAN.ravel(), 7 * np.arctanh(np.log(SCALE).ravel() / 7)]).astype(np.float32)


def density(y, dims=(0, 1)):
    """sum_j pi_j prod_i N(y_i; mu_ji, sigma_ji), in NumPy."""
    each = [np.exp(-(((y[i] - MEAN[:, i]) / SCALE[:, i]) ** 2) / 2) / (SCALE[:, i] * np.sqrt(2 * np.pi)) for i in dims]
    return (SHARES * np.prod(each, axis=0)).sum()


@pytest.mark.parametrize("y", [[0.2, 1.9], [-3.0, 1.1], [0.0, -4.0]])
def test_is_the_density_written_out(y):
    found = float(gaussian_mixture(2, 2).log_prob(OUTPUTS, jnp.array(y, jnp.float32)))
    assert found == pytest.approx(np.log(density(y)), rel=1e-5)


def test_what_is_missing_is_integrated_out():
    targets = jnp.array([[0.2, jnp.nan], [jnp.nan, 1.9], [jnp.nan, jnp.nan]])
    log_prob = lambda outputs: gaussian_mixture(2, 2).log_prob(jnp.broadcast_to(outputs, (3, 10)), targets)  # noqa: E731
    expected = np.log([density([0.2, 0], (0,)), density([0, 1.9], (1,)), 1.0])
    np.testing.assert_allclose(log_prob(OUTPUTS), expected, atol=1e-5)
    gradient = jax.grad(lambda outputs: log_prob(outputs).sum())(OUTPUTS)
    assert np.isfinite(gradient).all()


def test_one_component_is_a_gaussian_of_a_learned_scale():
    outputs, targets = jnp.array([1.0, -3.0, 0.5, 0.2]), jnp.array([0.5, -2.0])
    one = gaussian_mixture(2).log_prob(jnp.concatenate([jnp.zeros(1), outputs]), targets)
    assert float(one) == pytest.approx(float(gaussian(2, learned=True).log_prob(outputs, targets)), rel=1e-6)


def test_laplace_is_the_density_written_out():
    found = laplace(2, scale=0.5).log_prob(jnp.array([1.0, -2.0]), jnp.array([1.5, 0.0]))
    assert float(found) == pytest.approx(-(0.5 + 2) / 0.5 - 2 * np.log(2 * 0.5), rel=1e-6)
    with pytest.raises(ValueError, match="scale must be positive, got 0"):
        laplace(1, scale=0.0)
