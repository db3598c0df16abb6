"""The update: clip first, then the rule; schedules; numbers live in the state."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnngen.training import OPTIMIZERS, SCHEDULES, build_optimizer

PARAMS = {"w": jnp.array([1.0, -2.0])}
GRADIENT = {"w": jnp.array([3.0, -4.0])}


def step(times=1, **options):
    optimizer = build_optimizer(**({"steps": 100} | options))
    state, params, moves = optimizer.init(PARAMS), PARAMS, []
    for _ in range(times):
        updates, state, clipped = jax.jit(optimizer.update)(GRADIENT, state, params)
        moves.append(updates["w"])
    return moves, clipped["w"], state


def test_clip_by_global_norm_comes_before_the_optimiser():
    (move,), clipped, _ = step(name="sgd", learning_rate=0.5, clip_norm=1.0)
    np.testing.assert_allclose(clipped, [0.6, -0.8], rtol=1e-6)
    np.testing.assert_allclose(move, [-0.3, 0.4], rtol=1e-6)


def test_clip_by_value():
    (move,), clipped, _ = step(name="sgd", learning_rate=1.0, clip_value=3.5)
    np.testing.assert_allclose(clipped, [3.0, -3.5])
    np.testing.assert_allclose(move, [-3.0, 3.5])


def test_no_clipping():
    np.testing.assert_array_equal(step(name="sgd", learning_rate=1.0)[1], GRADIENT["w"])


def test_a_small_gradient_is_left_alone():
    np.testing.assert_allclose(step(name="sgd", learning_rate=1.0, clip_norm=100.0)[1], GRADIENT["w"])


def test_momentum_accumulates():
    moves, _, _ = step(3, name="momentum", learning_rate=1.0, kwargs={"decay": 0.5})
    np.testing.assert_allclose([m[0] for m in moves], [-3, -4.5, -5.25])


def test_rmsprop_is_its_equation():
    (move,), _, _ = step(name="rmsprop", learning_rate=0.1, kwargs={"decay": 0.9})
    np.testing.assert_allclose(move, -0.1 * np.array([3, -4]) / np.sqrt(0.1 * np.array([9, 16])), rtol=1e-4)


def test_adam_moves_by_the_learning_rate_at_first():
    (move,), _, _ = step(name="adam", learning_rate=0.1)
    np.testing.assert_allclose(move, [-0.1, 0.1], rtol=1e-5)


def test_adamw_decays_weights_on_top():
    (plain,), _, _ = step(name="adam", learning_rate=0.1)
    (decayed,), _, _ = step(name="adamw", learning_rate=0.1, kwargs={"weight_decay": 0.5})
    np.testing.assert_allclose(decayed - plain, -0.1 * 0.5 * PARAMS["w"], rtol=1e-4)


@pytest.mark.parametrize(
    ("schedule", "kwargs", "message"),
    [
        ("exponential", {"decay_steps": -1}, "decay_steps must be positive, got -1"),
        ("exponential", {"decay_rate": -0.5}, "decay_rate must be positive, got -0.5"),
        ("warmup_cosine", {}, "warmup_steps must be below the 20 steps of the run, got 100"),
        ("warmup_cosine", {"warmup_steps": 20}, "warmup_steps must be below the 20 steps of the run, got 20"),
        ("warmup_cosine", {"warmup_steps": -1}, "warmup_steps must be below the 20 steps of the run, got -1"),
    ],
)
def test_schedules_that_cannot_be(schedule, kwargs, message):
    with pytest.raises(ValueError, match=message):
        SCHEDULES[schedule](1.0, 20, **kwargs)


@pytest.mark.parametrize("kwargs", [{"decay_steps": 0}, {"decay_rate": 0.0}])
def test_a_schedule_that_does_nothing_says_so(kwargs):
    with pytest.warns(UserWarning, match=f"{next(iter(kwargs))} is 0: the learning rate stays as it is"):
        rate = SCHEDULES["exponential"](0.5, 20, **kwargs)
    assert float(rate(0)) == float(rate(19)) == 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("schedule", "kwargs", "rates"),
    [
        ("constant", {}, {0: 1.0, 99: 1.0}),
        ("cosine", {"final": 0.1}, {0: 1.0, 50: 0.55}),
        ("exponential", {"decay_rate": 0.5, "decay_steps": 10}, {0: 1.0, 10: 0.5, 20: 0.25}),
        ("warmup_cosine", {"warmup_steps": 10}, {0: 0.0, 5: 0.5, 10: 1.0}),
    ],
)
def test_schedules(schedule, kwargs, rates):
    rate = SCHEDULES[schedule](1.0, 100, **kwargs)
    for at, expected in rates.items():
        assert float(rate(at)) == pytest.approx(expected, abs=1e-6)
    moves, _, _ = step(2, name="sgd", learning_rate=1.0, schedule=schedule, schedule_kwargs=kwargs)
    np.testing.assert_allclose([-m[0] / 3 for m in moves], [float(rate(0)), float(rate(1))], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_numbers_live_in_the_state(name):
    """So that a pack of trials can give each its own."""
    _, _, (clip_state, rule_state) = step(name=name, learning_rate=0.25, clip_norm=2.0, clip_value=3.0)
    assert float(rule_state.hyperparams["learning_rate"]) == 0.25
    assert [float(next(iter(s.hyperparams.values()))) for s in clip_state[1:]] == [3.0, 2.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "adm"}, "unknown optimiser 'adm'; did you mean 'adam'"),
        ({"schedule": "cosin"}, "did you mean 'cosine'"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
        ({"clip_norm": -1.0}, "clip_norm must be positive, or 0"),
        ({"clip_value": float("nan")}, "clip_value must be positive, or 0"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        build_optimizer(steps=10, **options)
