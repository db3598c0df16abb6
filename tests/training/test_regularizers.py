"""Omega against loops over steps and examples by hand, flossing against finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_close, double, draw_batch

from rnngen.cells import CELLS
from rnngen.diagnostics import gradient_flow
from rnngen.models.stack import build_model
from rnngen.tasks import adding, temporal_order
from rnngen.tasks.losses import mean_loss
from rnngen.training.regularizers import REGULARIZERS, Regularizer, flossing, none, omega

TASK = temporal_order(12, min_length=10, eval_size=4)
# Its accuracy is a float32, which strict promotion keeps from weights in double precision.
PRECISE = lambda o, batch: mean_loss(-TASK.objective.head.log_prob(o, batch.targets), batch.weights)  # noqa: E731
DOUBLE = TASK._replace(objective=TASK.objective._replace(loss=PRECISE))


def build(*cells, task=TASK):
    goal, dtype = task.objective, "float64" if task is DOUBLE else "float32"
    model = build_model(cells, task.data.input_spec, goal.head, goal.loss, dtype=dtype)
    params, batch = model.init(jax.random.key(0)), draw_batch(task, "train", 3, 1)
    return model, *(double((params, batch)) if task is DOUBLE else (params, batch))


def value_and_gradient(regularizer, model, params, batch, task=TASK):
    return jax.jit(jax.value_and_grad(lambda p: regularizer.penalty(model, task, p, batch)))(params)


# Omega of a tanh RNN, in loops.


def states_and_errors(params, batch, example, start):
    """h_0 ... h_n and dE/dh_1 ... dE/dh_n of one example from step `start` on."""
    cell, head = (jax.tree.map(np.asarray, params[name]) for name in ("layer_0", "head"))
    length = int(np.sum(batch.mask[:, example]))
    states = [np.zeros(len(cell["recurrent_kernel"]))]
    for token in batch.inputs[start:length, example]:
        states.append(np.tanh(states[-1] @ cell["recurrent_kernel"] + cell["kernel"][int(token)] + cell["bias"]))
    logits = states[-1] @ head["kernel"] + head["bias"]
    wrong = np.exp(logits) / np.exp(logits).sum() - np.eye(4)[int(batch.targets[length - 1, example])]
    errors = [head["kernel"] @ wrong / batch.inputs.shape[1]]
    for state in states[:1:-1]:
        errors.append(cell["recurrent_kernel"] @ (errors[-1] * (1 - state**2)))
    return states, errors[::-1]


def frozen_omega(kernel, frozen, bound, skipped):
    """Omega with every state and error vector held, as a function of the kernel."""
    terms = []
    for states, errors in frozen:
        for state, error in list(zip(states[1:], errors, strict=True))[skipped:]:
            if error @ error >= bound:
                before = kernel @ (error * (1 - state**2))
                terms.append((before @ before / (error @ error) - 1) ** 2)
    return sum(terms) / max(len(terms), 1)


@pytest.mark.slow
@pytest.mark.parametrize(("bound", "reset"), [(1e-20, 0), (3e-3, 0), (1e-20, 6), (1e9, 0)])
def test_omega_and_its_immediate_gradient(x64, bound, reset):
    model, params, batch = build(CELLS["rnn"](5, recurrent_init="glorot"), task=DOUBLE)
    if reset:
        batch = batch._replace(resets=jnp.arange(12)[:, None] == jnp.full(3, reset))
    value, gradient = value_and_gradient(omega(1.5, bound), model, params, batch, DOUBLE)

    kernel, frozen = np.asarray(params["layer_0"]["recurrent_kernel"]), []
    frozen = [states_and_errors(params, batch, example, reset) for example in range(3)]
    by_hand = lambda kernel: 1.5 * frozen_omega(kernel, frozen, bound, bool(reset))  # noqa: E731
    steps = 1e-6 * np.eye(25).reshape(25, 5, 5)
    numeric = np.array([by_hand(kernel + s) - by_hand(kernel - s) for s in steps]).reshape(5, 5) / 2e-6
    np.testing.assert_allclose(value, by_hand(kernel), rtol=1e-10)
    np.testing.assert_allclose(gradient["layer_0"].pop("recurrent_kernel"), numeric, atol=1e-8)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(gradient))
    if bound == 3e-3:
        every = [errors for _, all_errors in frozen for errors in all_errors]
        assert 0 < sum(e @ e < bound for e in every) < len(every)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_omega_compares_the_gradients_that_enter_and_leave_each_step(name):
    """What is pulled back through a step is the gradient in the carry that enters it, which probes show."""
    task = adding(8, eval_size=4)
    model, params, batch = build(CELLS[name](5), task=task)
    value, gradient = value_and_gradient(omega(1.0), model, params, batch, task)

    squares = lambda tree: sum(jnp.sum(x**2, axis=-1) for x in jax.tree.leaves(tree))  # noqa: E731
    flow = squares(jax.jit(lambda p: gradient_flow(model, p, batch, task))(params))
    outputs = jax.jit(model.apply)(params, batch.inputs)[1]
    at_end = jax.grad(lambda o: task.objective.loss(o, batch)[1]["loss"][0])(outputs)[-1] @ params["head"]["kernel"].T
    ratio = flow / jnp.concatenate([flow[1:], squares(at_end)[None]])
    np.testing.assert_allclose(value, jnp.mean((ratio - 1) ** 2), rtol=1e-4)

    assert np.any(gradient["layer_0"].pop("recurrent_kernel"))
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(gradient))


@pytest.mark.slow
def test_omega_of_layers_with_kernels_of_their_own():
    model, params, batch = build(CELLS["lstm"](5), CELLS["gru"](4))
    value, gradient = value_and_gradient(omega(), model, params, batch)
    assert value > 0
    for layer in ("layer_0", "layer_1"):
        kernel = gradient[layer].pop("recurrent_kernel")
        assert np.any(kernel)
        assert np.all(np.isfinite(kernel))
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(gradient))


def linear(**options):
    return CELLS["rnn"](5, activation="identity", **options)


@pytest.mark.slow
def test_omega_of_an_orthogonal_linear_cell_is_zero():
    value, gradient = value_and_gradient(omega(), *build(linear()))
    np.testing.assert_allclose(value, 0, atol=1e-10)
    assert all(np.all(np.abs(leaf) < 1e-5) for leaf in jax.tree.leaves(gradient))


def test_omega_needs_no_structure():
    """With no second derivative it does not matter whether the point at which a Jacobian is taken is held."""
    cell = linear(recurrent_init="glorot")
    expected = value_and_gradient(omega(), *build(cell))
    assert_close(value_and_gradient(omega(), *build(cell._replace(structure=None))), expected, 1e-5)


def test_omega_counts_an_output_beside_the_carry():
    """y is 1 whatever the carry: nothing but the last y has an error, of which nothing goes back."""
    cell = linear()
    beside = cell._replace(structure=None, step=lambda p, c, u: (cell.step(p, c, u)[0], 0 * c + 1))
    value, _ = value_and_gradient(omega(1.0), *build(beside))
    np.testing.assert_allclose(value, 1)


def test_omega_names_the_layer_without_a_recurrent_kernel():
    model, params, batch = build(CELLS["rnn"](5), CELLS["mingru"](5))
    with pytest.raises(ValueError, match="recurrent_kernel, and the cell of layer_1 has none"):
        omega().penalty(model, TASK, params, batch)


# Flossing.


@pytest.mark.slow
def test_flossing_gradient_by_finite_differences(x64):
    model, params, batch = build(CELLS["rnn"](3), CELLS["gru"](2), task=DOUBLE)
    floss = flossing(2.0, exponents=4, steps=6, before=3, until=9)
    assert floss[1:] == (3, 9, True)
    run = jax.jit(jax.value_and_grad(lambda p: floss.penalty(model, TASK, p, batch)))
    gradient = run(params)[1]
    along = jax.tree.map(lambda x: np.cos(np.arange(x.size)).reshape(x.shape), params)
    penalty = lambda s: run(jax.tree.map(lambda p, a: p + s * a, params, along))[0]  # noqa: E731
    numeric = (penalty(1e-5) - penalty(-1e-5)) / 2e-5
    slope = sum(np.sum(g * a) for g, a in zip(jax.tree.leaves(gradient), jax.tree.leaves(along), strict=True))
    np.testing.assert_allclose(slope, numeric, rtol=1e-6)


@pytest.mark.slow
def test_flossing_brings_exponents_to_zero():
    model, params, batch = build(CELLS["rnn"](5, recurrent_init="glorot"))
    run = jax.jit(jax.value_and_grad(lambda p: flossing().penalty(model, TASK, p, batch)))
    first, _ = run(params)
    for _ in range(200):
        value, gradient = run(params)
        params = jax.tree.map(lambda p, g: p - 0.02 * g, params, gradient)
    assert value < first / 10


@pytest.mark.slow
def test_flossing_looks_at_the_first_steps_alone():
    model, params, batch = build(CELLS["rnn"](4))
    short = jax.tree.map(lambda x: x[:5], batch)
    first, _ = value_and_gradient(flossing(steps=5), model, params, batch)
    assert_close(first, value_and_gradient(flossing(), model, params, short)[0], 1e-6)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("omega", {"weight": -1.0}),
        ("omega", {"bound": float("nan")}),
        ("omega", {"bound": 0.0}),
        ("flossing", {"exponents": -1}),
        ("flossing", {"steps": -1}),
        ("flossing", {"before": -2}),
        ("flossing", {"until": 3, "before": 4}),
    ],
)
def test_arguments_that_make_no_sense(name, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        REGULARIZERS[name](**options)


def test_none_adds_nothing():
    assert none() == Regularizer(None, 0, None)
    assert flossing()[1:] == (0, None, True)
