"""Gradients in the carry: against finite differences, a linear cell's closed form, and one another."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import FOUR, assert_close, double, draw_batch, make_model, noise, one_cell, random_params
from jax.flatten_util import ravel_pytree

from rnngen.cells import Cell
from rnngen.diagnostics import carry_gradients, gradient_flow, lag_norms, log_gradient_norms
from rnngen.diagnostics.gradient_flow import summed_loss
from rnngen.diagnostics.horizon import source_steps
from rnngen.tasks import adding, copy_memory

T, B, D, H = 9, 3, 2, 4


# carry' = decay * carry + u, y = carry'.
LINEAR = Cell(
    init=lambda key, d: {"decay": jnp.array(0.5)},
    init_carry=lambda params, batch: jnp.zeros((*batch, 1)),
    step=lambda params, carry, u: (params["decay"] * carry + u,) * 2,
    output_dim=1,
)


def last_sum(ys):
    return jnp.sum(ys[-1])


def setup(cell_name):
    cell = one_cell(cell_name, H)
    return cell, random_params(cell, D), noise((T, B, D), 2)


# One program for all the tests that ask for the same: a call outside of jit compiles its loops each time.
gradients_of = jax.jit(carry_gradients, static_argnames=("cell", "loss"))
log_norms_of = jax.jit(log_gradient_norms, static_argnames=("cell", "loss"))


def last_loss(ys):
    return jnp.sum(jnp.sin(ys[-1]))


def between(cell, params, xs, carry, first, end):
    """(carry, y) of the last of the steps from `first` to before `end`, one after another; y zero if there is none."""
    params = cell.prepare(params)
    step = lambda t, at: cell.step(params, at[0], cell.project(params, xs[t]))  # noqa: E731
    return jax.lax.fori_loop(first, end, step, (carry, jnp.zeros((*xs.shape[1:-1], H), xs.dtype)))


run_between = jax.jit(between, static_argnames="cell")


@pytest.mark.slow
def test_every_entry_is_a_finite_difference(cell_name, x64):
    """To a millionth of the largest, from a start that is not zero."""
    cell, params, xs = setup(cell_name)
    params, xs = double(params), double(xs)
    carry, _ = run_between(cell, params, xs, cell.init_carry(cell.prepare(params), (B,)), 0, 2)
    gradients = gradients_of(cell, params, xs, last_loss, carry)
    _, unflat = ravel_pytree(carry)

    @jax.jit
    def moved(state, t):
        """The loss that follows from the carry that enters step t, with each of its numbers moved up and down."""
        from_here = lambda state: last_loss(between(cell, params, xs, unflat(state), t, T)[1][None])  # noqa: E731
        step = 1e-5 * jnp.eye(len(state))
        up, down = jnp.split(jax.vmap(from_here)(jnp.concatenate([state + step, state - step])), 2)
        return up - down

    for t in (0, 1, 4, T - 1):
        entering, _ = run_between(cell, params, xs, carry, 0, t)
        numeric = moved(ravel_pytree(entering)[0], t) / 2e-5
        found = ravel_pytree(jax.tree.map(lambda g, t=t: g[t], gradients))[0]
        assert float(np.max(np.abs(found - numeric))) <= 1e-6 * float(np.max(np.abs(found)))


def test_linear_cell_in_closed_form():
    gradients = gradients_of(LINEAR, {"decay": jnp.array(0.5)}, jnp.ones((T, B, 1)), last_sum)
    np.testing.assert_allclose(gradients[:, 0, 0], 0.5 ** np.arange(T, 0, -1), rtol=1e-6)


def test_the_carry_that_enters_the_last_step_has_a_gradient_and_nothing_crosses_a_reset():
    resets = jnp.zeros((T, B), bool).at[5].set(True)
    mask = jnp.ones((T, B), bool).at[7].set(False)
    options = {"mask": mask, "resets": resets}
    params, xs = {"decay": jnp.array(0.5)}, jnp.ones((T, B, 1))
    gradients = gradients_of(LINEAR, params, xs, last_sum, **options)
    # Step 7 does not exist: its carry passes unchanged. Step 5 starts afresh.
    np.testing.assert_allclose(gradients[:, 0, 0], [0, 0, 0, 0, 0, 0.125, 0.25, 0.5, 0.5], rtol=1e-6)
    logs = log_norms_of(LINEAR, params, xs, last_sum, **options)
    np.testing.assert_allclose(np.exp(logs["h"][:, 0]), gradients[:, 0, 0], rtol=1e-5)


def test_integer_leaves_come_back_as_float0():
    counting = Cell(
        init=lambda key, d: {},
        init_carry=lambda params, batch: {"h": jnp.zeros((*batch, 1)), "n": jnp.zeros(batch, jnp.int32)},
        step=lambda params, c, u: ({"h": 0.5 * c["h"] + u, "n": c["n"] + 1}, 0.5 * c["h"] + u),
        output_dim=1,
    )
    xs = jnp.ones((T, B, 1))
    gradients = carry_gradients(counting, {}, xs, last_sum)
    assert gradients["n"].dtype == jax.dtypes.float0
    logs = log_norms_of(counting, {}, xs, last_sum)
    assert set(logs) == {"h", "all"}
    np.testing.assert_allclose(logs["h"][:, 1], np.log(gradients["h"][:, 1, 0]), rtol=1e-5)


def every_loss(ys):
    return jnp.sum(ys**2)


# A loss at every step for every cell; one at the last step alone, whose gradient goes the same way, for two carries.
@pytest.mark.parametrize(
    ("cell_name", "loss"), [*((name, every_loss) for name in FOUR), ("lstm", last_loss), ("gru", last_loss)]
)
def test_log_norms_equal_the_logs_of_norms(cell_name, loss):
    cell, params, xs = setup(cell_name)
    gradients = gradients_of(cell, params, xs, loss)
    logs = log_norms_of(cell, params, xs, loss)
    named = gradients if isinstance(gradients, dict) else {"h": gradients}
    for name, gradient in named.items():
        assert_close(logs[name], np.log(np.linalg.norm(gradient, axis=-1)), 1e-4)
    both = np.concatenate(list(named.values()), axis=-1)
    assert_close(logs["all"], np.log(np.linalg.norm(both, axis=-1)), 1e-4)


@pytest.mark.parametrize("decay", [0.5, 2.0])
def test_log_norms_neither_underflow_nor_overflow(decay):
    """0.5^1000 is far below float32, 2^1000 far above; the log of each is known."""
    xs = jnp.zeros((1000, 2, 1))
    logs = log_norms_of(LINEAR, {"decay": jnp.array(decay)}, xs, last_sum)
    np.testing.assert_allclose(logs["h"][:, 0], np.arange(1000, 0, -1) * np.log(decay), rtol=1e-4)
    plain = gradients_of(LINEAR, {"decay": jnp.array(decay)}, xs, last_sum)
    assert float(plain[0, 0, 0]) in (0.0, np.inf)


def test_norms_are_per_example():
    """An example's norms do not depend on its company."""
    cell, params, xs = setup("gru")
    together = log_norms_of(cell, params, xs, last_loss)["all"]
    alone = log_norms_of(cell, params, xs[:, 1:2], last_loss)["all"]
    assert_close(together[:, 1:2], alone, 1e-5)


def test_zero_gradient_is_minus_infinity():
    logs = log_norms_of(LINEAR, {"decay": jnp.array(0.0)}, jnp.ones((T, B, 1)), last_sum)
    assert bool(jnp.isneginf(logs["h"]).all())


def flow_of(model, params, batch, task):
    return jax.jit(lambda params, batch: gradient_flow(model, params, batch, task))(params, batch)


# Padding for every cell; without any, and tokens with a loss at every step, are the task's and the model's own.
PADDED = adding(8, min_length=4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell_name", "task"), [*((name, PADDED) for name in FOUR), ("gru", adding(8)), ("lstm", copy_memory(3))]
)
def test_a_models_flow_by_probes_equals_the_flow_through_its_cell(cell_name, task):
    model, _ = make_model(cell_name, task, layers=2)
    params = model.init(jax.random.key(0))
    batch = draw_batch(task, "valid", 4, 0)
    flow = flow_of(model, params, batch, task)
    assert set(flow) == {"layer_0", "layer_1"}
    mask = jnp.ones(batch.weights.shape, bool) if batch.mask is None else batch.mask
    loss = summed_loss(model, batch, task)
    through = jax.jit(lambda p: carry_gradients(model.cell, p, batch.inputs, loss, mask=mask))(params)
    assert_close(flow, through, 1e-5)


def test_the_batch_mean_does_not_scale_the_flow():
    model, task = make_model("rnn")
    params = model.init(jax.random.key(0))
    batch = draw_batch(task, "valid", 4, 0)
    half = jax.tree.map(lambda x: x[:, :2], batch)
    of_all, of_half = (flow_of(model, params, these, task)["layer_0"] for these in (batch, half))
    assert_close(of_all[:, :2], of_half, 1e-5)


def test_sources_are_spread_over_the_weighted_steps():
    weights = jnp.zeros((10, 2)).at[:, 0].set(1.0).at[6, 1].set(1.0)
    np.testing.assert_array_equal(source_steps(weights, 2), [[4, 6], [9, 6]])
    np.testing.assert_array_equal(source_steps(weights, 1), [[9, 6]])


def test_lag_counts_back_from_each_examples_own_source():
    task = PADDED
    model, _ = make_model("rnn", task)
    params = model.init(jax.random.key(0))
    batch = draw_batch(task, "valid", 4, 0)
    norms = np.asarray(jax.jit(lambda p: lag_norms(model, p, batch, task))(params)["layer_0/h"][0])
    flow = np.linalg.norm(flow_of(model, params, batch, task)["layer_0"], axis=-1)
    for b, source in enumerate(np.asarray(source_steps(batch.weights, 1)[0])):
        np.testing.assert_allclose(np.exp(norms[: source + 1, b]), flow[: source + 1, b][::-1], rtol=1e-4)
        assert np.isnan(norms[source + 1 :, b]).all()


@pytest.mark.slow
def test_single_sources_keep_near_and_far_apart():
    """With a loss at every step, the norm at a lag is that of one step's loss alone."""
    task = copy_memory(2)
    model, _ = make_model("lstm", task)
    params = model.init(jax.random.key(0))
    batch = draw_batch(task, "valid", 2, 0)
    norms = jax.jit(lambda p: lag_norms(model, p, batch, task, num_sources=2))(params)["layer_0/c"]
    alone = batch._replace(weights=jnp.zeros_like(batch.weights).at[10].set(1.0))
    flow = flow_of(model, params, alone, task)["layer_0"]["c"]
    expected = jnp.log(jnp.linalg.norm(flow, axis=-1))[10::-1]
    assert_close(norms[0, :11], expected, 1e-4)
