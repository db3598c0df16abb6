"""What every output distribution owes: finite values and gradients at any parameters, greed at temperature 0."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import noise

from rnngen.heads import (
    HEADS,
    bernoulli,
    categorical,
    gaussian,
    gaussian_mixture,
    laplace,
    logistic_mixture,
    mixture_density,
)


def _levels(heads_levels, n):
    return np.random.RandomState(0).randint(heads_levels, size=n)


def _offsets(n):
    random = np.random.RandomState(0)
    return np.concatenate([random.choice([-1e3, 0, 1e3], (n, 2)), random.randint(2, size=(n, 1))], axis=1)


N = 400
# name -> a head, how far its outputs may go, and targets at all corners.
MEMBERS = {
    "bernoulli": (bernoulli(3), 1e4, np.random.RandomState(0).randint(2, size=(N, 3))),
    "categorical": (categorical(5), 1e4, _levels(5, N)),
    "gaussian": (gaussian(3), 1e4, np.random.RandomState(0).choice([-1e4, 0, 1e4], (N, 3))),
    "gaussian, learned": (gaussian(3, learned=True), 1e4, np.random.RandomState(0).choice([-1e4, 0, 1e4], (N, 3))),
    "gaussian_mixture": (gaussian_mixture(3, 2), 1e4, np.random.RandomState(0).choice([-1e4, 0, 1e4], (N, 3))),
    "laplace": (laplace(3), 1e4, np.random.RandomState(0).choice([-1e4, 0, 1e4], (N, 3))),
    "logistic_mixture": (logistic_mixture(3), 1e3, _levels(256, N)),
    "mixture_density": (mixture_density(3), 1e3, _offsets(N)),
}


def member(name):
    head, extreme, targets = MEMBERS[name]
    whole = jnp.issubdtype(targets.dtype, jnp.integer)
    return head, extreme, jnp.asarray(targets, jnp.int32 if whole else jnp.float32)


@functools.cache
def _sampler(head, temperature):
    return jax.jit(functools.partial(head.sample, temperature=temperature))


def draw(head, seed, outputs, temperature):
    return np.asarray(_sampler(head, temperature)(jax.random.key(seed), outputs))


def test_every_head_is_a_member():
    assert {name.split(",")[0] for name in MEMBERS} == set(HEADS)


@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_values_and_gradients_are_finite_at_extreme_parameters(name):
    head, extreme, targets = member(name)
    corners = np.random.RandomState(1).choice([-extreme, 0, 1, extreme], (N, head.num_params))
    value, gradient = jax.jit(jax.value_and_grad(lambda o: head.log_prob(o, targets).sum()))(
        jnp.asarray(corners, jnp.float32)
    )
    assert value.dtype == jnp.float32
    assert np.isfinite(value)
    assert np.isfinite(np.asarray(gradient)).all()


@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_temperature_zero_does_not_draw(name):
    head, _, _ = member(name)
    outputs = 3 * noise((50, head.num_params), seed=2)
    greedy = draw(head, 0, outputs, 0)
    np.testing.assert_array_equal(draw(head, 1, outputs, 0), greedy)
    drawn = draw(head, 0, outputs, 1.0)
    assert drawn.shape == greedy.shape
    assert (drawn != greedy).any()
    np.testing.assert_allclose(draw(head, 2, outputs, 1e-50), greedy, atol=1e-5)


@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_the_mean_is_that_of_what_is_drawn(name):
    """Of classes and bits it is their frequencies."""
    head = member(name)[0]
    outputs = 0.3 * noise((head.num_params,), seed=4)
    drawn = draw(head, 0, np.broadcast_to(outputs, (20000, head.num_params)), 1.0)
    drawn = np.eye(head.num_params)[drawn] if name == "categorical" else drawn
    mean, error = np.asarray(jax.jit(head.mean)(outputs)), drawn.std(axis=0) / 20000**0.5
    assert mean.shape == drawn.shape[1:]
    assert (np.abs(drawn.mean(axis=0) - mean) <= 4.5 * error + 1e-6).all()


@pytest.mark.parametrize("name", sorted(MEMBERS))
@pytest.mark.parametrize("temperature", [-0.5, float("nan"), float("inf")])
def test_no_other_temperature_is_taken(name, temperature):
    head, _, _ = member(name)
    with pytest.raises(ValueError, match=r"temperature must be finite and at least 0 \(0 is greedy\), got"):
        head.sample(jax.random.key(0), jnp.zeros((2, head.num_params)), temperature)


@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_batch_axes_are_any_number(name):
    """The log-probability of a step is the same alone and within a batch."""
    head, _, targets = member(name)
    outputs = noise((6, head.num_params), seed=3)
    targets = targets[:6] / 1000 if targets.dtype == jnp.float32 else targets[:6]
    log_prob = jax.jit(head.log_prob)
    whole = log_prob(outputs.reshape(3, 2, -1), targets.reshape(3, 2, *targets.shape[1:]))
    np.testing.assert_allclose(whole[1, 1], log_prob(outputs[3], targets[3]), rtol=1e-5)


@pytest.mark.parametrize("name", sorted(HEADS))
def test_sizes_are_positive(name):
    with pytest.raises(ValueError, match="must be a positive whole number, got 0"):
        HEADS[name](0)
