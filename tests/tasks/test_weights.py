"""What stands at steps without weight, which padding may fill with anything, changes no loss, gradient or metric."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_close, make_model, noise

from rnngen.datasets import INTERFACES
from rnngen.datasets.generative import bits
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
from rnngen.models.vrnn import vrnn
from rnngen.tasks import adding, copy_memory, latch, temporal_order
from rnngen.tasks.losses import classification_loss, mean_loss, nll_loss
from rnngen.training.sharding import loss_and_gradient, mesh_of
from rnngen.types import Batch, InputSpec

T, B = 4, 3
RANDOM = np.random.RandomState(0)
WEIGHTS = np.array([[1, 1, 0.5], [1, 0, 2], [0, 0, 1], [0, 0, 0]], np.float32)
UNSEEN = WEIGHTS == 0
BAD = {"i": [-1, -100, 10_000, 2**31 - 1], "f": [np.nan, np.inf, -np.inf, 1e38]}
# name -> (a loss, the features of its outputs, targets)
LOSSES = {
    "bernoulli": (bernoulli(2), RANDOM.randint(0, 2, (T, B, 2)).astype(np.float32)),
    "categorical": (categorical(5), RANDOM.randint(0, 5, (T, B))),
    "gaussian": (gaussian(2), RANDOM.normal(size=(T, B, 2)).astype(np.float32)),
    "gaussian, learned": (gaussian(2, learned=True), RANDOM.normal(size=(T, B, 2)).astype(np.float32)),
    "gaussian_mixture": (gaussian_mixture(2, 2), RANDOM.normal(size=(T, B, 2)).astype(np.float32)),
    "laplace": (laplace(2), RANDOM.normal(size=(T, B, 2)).astype(np.float32)),
    "logistic_mixture": (logistic_mixture(2, 16), RANDOM.randint(0, 16, (T, B))),
    "mixture_density": (mixture_density(2), RANDOM.randint(0, 2, (T, B, 3)).astype(np.float32)),
}
LOSSES = {name: (nll_loss(head, bits), head.num_params, targets) for name, (head, targets) in LOSSES.items()}
LOSSES |= {
    "classification": (classification_loss(categorical(4)), 4, RANDOM.randint(0, 4, (T, B))),
    "adding": (adding(T).objective.loss, 1, RANDOM.normal(size=(T, B, 1)).astype(np.float32)),
    "copy_memory": (copy_memory(T).objective.loss, 9, RANDOM.randint(0, 9, (T, B))),
    "latch": (latch(T).objective.loss, 2, RANDOM.randint(0, 2, (T, B))),
    "mse": (INTERFACES["supervised"](1, 2, "mse").loss, 2, RANDOM.normal(size=(T, B, 2)).astype(np.float32)),
    "series": (INTERFACES["series"](("a", "b")).loss, 5, RANDOM.normal(size=(T, B, 2)).astype(np.float32)),
    "temporal_order": (temporal_order(10, variant="hochreiter").objective.loss, 4, RANDOM.randint(0, 4, (T, B))),
}


def measuring(loss, features):
    """targets -> (loss, metrics, gradient of the loss in some outputs)."""
    program, outputs = jax.jit(jax.value_and_grad(loss, has_aux=True)), noise((T, B, features))

    def measure(targets):
        (scalar, sums), gradient = program(outputs, Batch(jnp.zeros((T, B, 1)), jnp.asarray(targets), WEIGHTS))
        return scalar, sums, np.asarray(gradient)

    return measure


def test_every_head_has_a_loss_here():
    assert set(HEADS) <= {name.split(",")[0] for name in LOSSES}


@pytest.mark.parametrize("name", LOSSES)
def test_targets_without_weight_are_not_seen(name):
    loss, features, targets = LOSSES[name]
    measure, zeros = measuring(loss, features), targets.copy()
    zeros[UNSEEN] = 0
    expected = measure(zeros)
    assert np.isfinite(expected[2]).all()
    assert not expected[2][UNSEEN].any()
    for bad in BAD[targets.dtype.kind]:
        filled = targets.copy()
        filled[UNSEEN] = bad
        jax.tree.map(np.testing.assert_array_equal, measure(filled), expected)
    filled[0, 0] = BAD[targets.dtype.kind][-1]
    assert float(measure(filled)[0]) != float(expected[0])  # what has weight is seen as it is


def test_a_mean_is_over_the_weights_and_zero_without_any():
    per_step = jnp.asarray(RANDOM.normal(size=(T, B)).astype(np.float32))
    for scale in (1.0, 0.01):  # also where they sum to less than one
        mean, (total, count) = mean_loss(per_step, scale * WEIGHTS)
        assert float(mean) == pytest.approx(np.average(per_step, weights=WEIGHTS), rel=1e-5)
        assert float(total / count) == pytest.approx(float(mean), rel=1e-6)
    mean, sums = mean_loss(per_step.at[0].set(jnp.nan), jnp.zeros((T, B)))
    assert [float(x) for x in (mean, *sums)] == [0, 0, 0]


def small_vrnn():
    head = gaussian(1)
    spec = InputSpec(1, feed=lambda values: values, start=np.zeros(1, np.float32))
    return vrnn(2, 4, samples=2)([make_model("gru")[0].layers["layer_0"]], spec, head)


@pytest.mark.slow
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_latent_model_does_not_see_what_is_masked(bad):
    model, targets = small_vrnn(), np.array(RANDOM.normal(size=(T, B, 1)), np.float32)
    params, loss = model.init(jax.random.key(0)), jax.jit(jax.value_and_grad(model.loss, has_aux=True))

    def of(value):
        filled = targets.copy()
        filled[UNSEEN] = value
        batch = Batch(jnp.zeros((T, B, 1)), jnp.asarray(filled), jnp.asarray(WEIGHTS), jnp.asarray(~UNSEEN))
        return loss(params, batch)

    (scalar, (_, sums)), gradient = of(bad)
    (expected, (_, expected_sums)), expected_gradient = of(0)
    assert_close((scalar, sums, gradient), (expected, expected_sums, expected_gradient), 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("make", [lambda: make_model("gru", latch(T))[0], small_vrnn])
def test_a_batch_without_any_weight_moves_nothing(make):
    model = make()
    targets = jnp.zeros((T, B), jnp.int32) if model.head.num_params == 2 else jnp.zeros((T, B, 1))
    batch = Batch(jnp.ones((T, B, 1)), targets, jnp.zeros((T, B)))
    params = model.init(jax.random.key(0))
    run = functools.partial(jax.jit(loss_and_gradient(model, mesh_of(1))), params, batch, jax.random.key(1))
    gradient, sums, _ = run()
    assert all(not np.asarray(leaf).any() for leaf in jax.tree.leaves(gradient))
    assert [float(x) for x in sums["loss"]] == [0, 0]
