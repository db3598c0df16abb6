"""Memory where it is known: delay lines, leaky integrators, linear networks, tokens, and inputs that are not there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import draw_batch, make_model
from linear_cells import linear

from rnngen.diagnostics import DIAGNOSES, capacity, memory
from rnngen.tasks import adding, copy_memory, latch, temporal_order

STEPS, EXAMPLES = 40, 60


def delay_line(size, inputs=1):
    return linear(np.eye(size, k=inputs), np.eye(inputs, size))


def noise(features=1, seed=0):
    return jax.random.normal(jax.random.key(seed), (STEPS, EXAMPLES, features))


def read(cell, xs, **options):
    return jax.device_get(jax.jit(lambda xs: memory(cell, {}, xs, **options))(xs))


def test_a_delay_line_holds_its_length_and_nothing_beyond():
    found = read(delay_line(7), noise(), lags=tuple(range(14)))
    np.testing.assert_allclose(found.r2[:7], 1, atol=1e-3)
    np.testing.assert_allclose(found.r2[7:], 0, atol=0.01)
    assert (found.floor < 0.02).all()
    assert capacity(found) == pytest.approx(7, abs=0.05)


def test_a_leaky_integrator_has_its_closed_form():
    """Of h_t = a h_{t-1} + u_t and noise u: R^2 of u_{t-k} is a^2k over the mean variance of h_t."""
    a, lags = 0.8, np.arange(12)
    found = read(linear(np.full((1, 1), a), np.ones((1, 1))), noise(), lags=tuple(range(12)))
    variance = (1 - a ** (2 * np.arange(1, STEPS + 1))) / (1 - a**2)
    expected = [a ** (2 * k) / variance[STEPS // 2 :].mean() for k in lags]
    np.testing.assert_allclose(found.r2, expected, atol=0.03)


def test_the_capacity_of_linear_networks_is_at_most_their_size():
    """What 8 units hold of the past is spread over many lags, and sums to no more than 8."""
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))[0]
    for recurrent in (0.7 * rotation, 0.9 * rotation):
        found = read(linear(recurrent, np.ones((1, 8))), noise(), lags=tuple(range(STEPS)))
        assert 6 < capacity(found) < 8.2


def test_two_features_count_each():
    found = read(delay_line(6, inputs=2), noise(2), lags=tuple(range(6)))
    np.testing.assert_allclose(found.features, np.repeat([[1.0], [0.0]], 3, axis=0) * [1, 1], atol=1e-3)
    assert capacity(found) == pytest.approx(6, abs=0.02)


def test_more_units_than_examples_know_nothing_of_what_they_do_not_hold():
    """In-sample R^2 of 100 random features on 60 examples would be 1."""
    clock = np.random.default_rng(1).normal(size=(100, 100)) / 20
    found = read(linear(clock, np.zeros((1, 100))), noise(), lags=(0, 5), steps=jnp.full((1, EXAMPLES), 10))
    assert (found.r2 == 0).all()
    deep = read(linear(clock, np.ones((1, 100))), noise(), lags=(25,), steps=jnp.full((1, EXAMPLES), 10))
    assert deep.r2[0] <= deep.floor[0] + 0.05


def test_a_carry_that_only_tells_the_time_reads_nothing():
    """An input that is the same for all examples at each step, and noise beside it."""
    xs = jnp.concatenate([jnp.broadcast_to(jnp.arange(1.0 * STEPS)[:, None, None], (STEPS, EXAMPLES, 1)), noise()], -1)
    clock = linear(np.eye(1), np.array([[1.0], [0.0]]))
    found = read(clock, xs, lags=(0, 3, 9))
    assert (found.r2 < 1e-3).all()
    assert capacity(found) < 0.01


def test_tokens_are_classified():
    cell = linear(np.eye(8, k=4), np.eye(4, 8))
    tokens = jax.random.randint(jax.random.key(2), (STEPS, EXAMPLES), 0, 4)
    one_hot = cell._replace(project=lambda params, xs, key=None: jax.nn.one_hot(xs, 4))
    found = read(one_hot, tokens, tokens=4, lags=(0, 1, 2, 3))
    np.testing.assert_allclose(found.accuracy[:2], 1)
    np.testing.assert_allclose(found.accuracy[2:], found.chance[2:], atol=0.08)
    np.testing.assert_allclose(found.chance, 0.25, atol=0.08)
    exact = read(one_hot, tokens, tokens=4, lags=(0, 1))
    assert capacity(exact) == pytest.approx(2 * 3, abs=0.05)


def test_inputs_before_a_reset_and_padding_do_not_count():
    xs = noise()
    resets = jnp.zeros((STEPS, EXAMPLES), bool).at[::4].set(True)
    found = read(delay_line(7), xs, lags=(0, 3, 4), resets=resets)
    np.testing.assert_allclose(found.r2[:2], 1, atol=1e-3)
    assert found.pairs[2] == 0
    mask = jnp.arange(STEPS)[:, None] < jnp.arange(EXAMPLES) // 6 + 20
    padded = read(delay_line(7), jnp.where(mask[..., None], xs, jnp.nan), lags=(0, 3), mask=mask)
    np.testing.assert_allclose(padded.r2, 1, atol=1e-3)
    lengths = np.asarray(mask).sum(axis=0)
    assert padded.pairs.tolist() == [(lengths - lengths // 2).sum()] * 2


@pytest.mark.parametrize(
    ("task", "lags"),
    [
        (adding(20, min_length=14), None),
        (copy_memory(5), {15}),
        (latch(12), {9}),
        (temporal_order(20), None),
    ],
)
def test_tasks_know_the_inputs_that_they_need(task, lags):
    batch = draw_batch(task, "valid", 16, 0)
    sources, reads = task.needs(batch)
    lag = np.asarray(reads - sources)
    assert (lag >= 0).all() if lags is None else set(lag.ravel().tolist()) == lags
    if batch.targets.ndim == 3:  # of adding, whose targets are the sums of what is marked
        values = np.take_along_axis(np.asarray(batch.inputs[..., 0]), np.asarray(sources), 0)
        np.testing.assert_allclose(values.sum(axis=0), batch.targets[-1, :, 0], rtol=1e-5)
    assert (np.take_along_axis(np.asarray(batch.weights), np.asarray(reads), 0) == 1).all()


def test_needed_inputs_are_in_the_record():
    task = latch(10, eval_size=40)
    model, _ = make_model("rnn", task)
    diagnosis, batch = DIAGNOSES["memory"](lags=(0, 7)), draw_batch(task, "valid", 40, 0)
    found = jax.jit(lambda p: diagnosis.measure(model, p, batch, task))(model.init(jax.random.key(0)))
    record = diagnosis.record(jax.device_get(found))
    assert (record["needed"]["lag"], record["needed"]["lags"]) == (7, [0, 7])
    assert record["needed"]["r2"][0] > 0.9


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="memory compares examples and needs at least 2, got 1"):
        memory(delay_line(2), {}, noise()[:, :1])
    with pytest.raises(ValueError, match=r"lags must be whole numbers from 0 to 39, the last step, got \(40,\)"):
        memory(delay_line(2), {}, noise(), lags=(40,))
    with pytest.raises(ValueError, match="lags must be whole numbers from 0 to 9"):
        DIAGNOSES["memory"](lags=(10,)).check(4, 10)
