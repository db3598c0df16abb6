"""Gradients in the carry: against finite differences, a linear cell's closed form, and one another."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_close, double, make_model, random_params
from jax.flatten_util import ravel_pytree

from rnngen.cells import CELLS, Cell
from rnngen.diagnostics import carry_gradients, gradient_flow, lag_norms, log_gradient_norms
from rnngen.diagnostics.gradient_flow import summed_loss
from rnngen.diagnostics.horizon import source_steps
from rnngen.engines import unroll
from rnngen.tasks import adding, copy_memory

T, B, D, H = 9, 3, 2, 4


def linear(decay):
    """carry' = decay * carry + u, y = carry'."""
    return Cell(
        init=lambda key, d: {"decay": jnp.asarray(decay)},
        init_carry=lambda params, batch: jnp.zeros((*batch, 1)),
        step=lambda params, carry, u: (params["decay"] * carry + u,) * 2,
        output_dim=1,
    )


def setup(cell_name):
    cell = CELLS[cell_name](H)
    return cell, random_params(cell, D), jax.random.normal(jax.random.key(2), (T, B, D))


def last_loss(ys):
    return jnp.sum(jnp.sin(ys[-1]))


def test_matches_finite_differences(cell_name, x64):
    cell, params, xs = setup(cell_name)
    params, xs = double(params), double(xs)
    carry, _ = unroll(cell, params, xs[:2])  # a start that is not zero
    gradients = carry_gradients(cell, params, xs, last_loss, carry)
    for t in (0, 4, T - 1):
        entering, _ = unroll(cell, params, xs[:t], carry) if t else (carry, None)
        direction = jax.tree.map(lambda c: jax.random.normal(jax.random.key(8), c.shape, c.dtype), entering)

        def moved(size, entering=entering, direction=direction, t=t):
            start = jax.tree.map(lambda c, d: c + size * d, entering, direction)
            return last_loss(unroll(cell, params, xs[t:], start)[1])

        numeric = (moved(1e-5) - moved(-1e-5)) / 2e-5
        products = jax.tree.map(lambda g, d, t=t: jnp.sum(g[t] * d), gradients, direction)
        assert float(sum(jax.tree.leaves(products))) == pytest.approx(float(numeric), rel=1e-6)


def test_every_entry_to_a_millionth_of_the_largest(cell_name, x64):
    cell, params, xs = setup(cell_name)
    params, xs = double(params), double(xs)
    gradients = carry_gradients(cell, params, xs, last_loss)
    for t in (1, T - 1):
        flat, unflat = ravel_pytree(unroll(cell, params, xs[:t])[0])

        def from_here(state, unflat=unflat, t=t):
            return last_loss(unroll(cell, params, xs[t:], unflat(state))[1])

        steps = 1e-5 * jnp.eye(len(flat))
        numeric = (jax.lax.map(from_here, flat + steps) - jax.lax.map(from_here, flat - steps)) / 2e-5
        found = ravel_pytree(jax.tree.map(lambda g, t=t: g[t], gradients))[0]
        assert float(np.max(np.abs(found - numeric))) <= 1e-6 * float(np.max(np.abs(found)))


def test_linear_cell_in_closed_form():
    gradients = carry_gradients(linear(0.5), {"decay": jnp.array(0.5)}, jnp.ones((T, B, 1)), lambda ys: jnp.sum(ys[-1]))
    np.testing.assert_allclose(gradients[:, 0, 0], 0.5 ** np.arange(T, 0, -1), rtol=1e-6)


def test_the_carry_that_enters_the_last_step_has_a_gradient_and_nothing_crosses_a_reset():
    resets = jnp.zeros((T, B), bool).at[5].set(True)
    mask = jnp.ones((T, B), bool).at[7].set(False)
    options = {"mask": mask, "resets": resets}
    params, xs = {"decay": jnp.array(0.5)}, jnp.ones((T, B, 1))
    gradients = carry_gradients(linear(0.5), params, xs, lambda ys: jnp.sum(ys[-1]), **options)
    # Step 7 does not exist: its carry passes unchanged. Step 5 starts afresh.
    np.testing.assert_allclose(gradients[:, 0, 0], [0, 0, 0, 0, 0, 0.125, 0.25, 0.5, 0.5], rtol=1e-6)
    logs = log_gradient_norms(linear(0.5), params, xs, lambda ys: jnp.sum(ys[-1]), **options)
    np.testing.assert_allclose(np.exp(logs["h"][:, 0]), gradients[:, 0, 0], rtol=1e-5)


def test_integer_leaves_come_back_as_float0():
    counting = Cell(
        init=lambda key, d: {},
        init_carry=lambda params, batch: {"h": jnp.zeros((*batch, 1)), "n": jnp.zeros(batch, jnp.int32)},
        step=lambda params, c, u: ({"h": 0.5 * c["h"] + u, "n": c["n"] + 1}, 0.5 * c["h"] + u),
        output_dim=1,
    )
    xs = jnp.ones((T, B, 1))
    gradients = carry_gradients(counting, {}, xs, lambda ys: jnp.sum(ys[-1]))
    assert gradients["n"].dtype == jax.dtypes.float0
    logs = log_gradient_norms(counting, {}, xs, lambda ys: jnp.sum(ys[-1]))
    assert set(logs) == {"h", "all"}
    np.testing.assert_allclose(logs["h"][:, 1], np.log(gradients["h"][:, 1, 0]), rtol=1e-5)


@pytest.mark.parametrize("loss", [last_loss, lambda ys: jnp.sum(ys**2)])
def test_log_norms_equal_the_logs_of_norms(cell_name, loss):
    cell, params, xs = setup(cell_name)
    gradients = carry_gradients(cell, params, xs, loss)
    logs = log_gradient_norms(cell, params, xs, loss)
    named = gradients if isinstance(gradients, dict) else {"h": gradients}
    for name, gradient in named.items():
        assert_close(logs[name], jnp.log(jnp.linalg.norm(gradient, axis=-1)), 1e-4)
    both = jnp.concatenate(list(named.values()), axis=-1)
    assert_close(logs["all"], jnp.log(jnp.linalg.norm(both, axis=-1)), 1e-4)


@pytest.mark.parametrize("decay", [0.5, 2.0])
def test_log_norms_neither_underflow_nor_overflow(decay):
    """0.5^1000 is far below float32, 2^1000 far above; the log of each is known."""
    xs = jnp.zeros((1000, 2, 1))
    logs = log_gradient_norms(linear(decay), {"decay": jnp.array(decay)}, xs, lambda ys: jnp.sum(ys[-1]))
    np.testing.assert_allclose(logs["h"][:, 0], np.arange(1000, 0, -1) * np.log(decay), rtol=1e-4)
    plain = carry_gradients(linear(decay), {"decay": jnp.array(decay)}, xs, lambda ys: jnp.sum(ys[-1]))
    assert float(plain[0, 0, 0]) in (0.0, np.inf)


def test_norms_are_per_example():
    """An example's norms do not depend on its company."""
    cell, params, xs = setup("gru")
    together = log_gradient_norms(cell, params, xs, last_loss)["all"]
    alone = log_gradient_norms(cell, params, xs[:, 1:2], last_loss)["all"]
    assert_close(together[:, 1:2], alone, 1e-5)


def test_zero_gradient_is_minus_infinity():
    logs = log_gradient_norms(linear(0.0), {"decay": jnp.array(0.0)}, jnp.ones((T, 1, 1)), lambda ys: jnp.sum(ys[-1]))
    assert bool(jnp.isneginf(logs["h"]).all())


@pytest.mark.parametrize("task", [adding(8), adding(8, min_length=4), copy_memory(3)])
def test_a_models_flow_by_probes_equals_the_flow_through_its_cell(cell_name, task):
    model, _ = make_model(cell_name, task, layers=2)
    params = model.init(jax.random.key(0))
    batch = task.sample("valid", jax.random.key(0), jnp.int32(0), 4)
    flow = gradient_flow(model, params, batch, task)
    assert set(flow) == {"layer_0", "layer_1"}
    mask = jnp.ones(batch.weights.shape, bool) if batch.mask is None else batch.mask
    through = carry_gradients(model.cell, params, batch.inputs, summed_loss(task, batch), mask=mask)
    assert_close(flow, through, 1e-5)


def test_the_batch_mean_does_not_scale_the_flow():
    model, task = make_model("rnn")
    params = model.init(jax.random.key(0))
    batch = task.sample("valid", jax.random.key(0), jnp.int32(0), 6)
    half = jax.tree.map(lambda x: x[:, :3], batch)
    assert_close(
        gradient_flow(model, params, batch, task)["layer_0"][:, :3],
        gradient_flow(model, params, half, task)["layer_0"],
        1e-5,
    )


def test_sources_are_spread_over_the_weighted_steps():
    weights = jnp.zeros((10, 2)).at[:, 0].set(1.0).at[6, 1].set(1.0)
    np.testing.assert_array_equal(source_steps(weights, 2), [[4, 6], [9, 6]])
    np.testing.assert_array_equal(source_steps(weights, 1), [[9, 6]])


def test_lag_counts_back_from_each_examples_own_source():
    task = adding(12, min_length=5)
    model, _ = make_model("rnn", task)
    params = model.init(jax.random.key(0))
    batch = task.sample("valid", jax.random.key(0), jnp.int32(0), 5)
    norms = lag_norms(model, params, batch, task)["layer_0/h"][0]
    flow = jnp.log(jnp.linalg.norm(gradient_flow(model, params, batch, task)["layer_0"], axis=-1))
    for b, source in enumerate(np.asarray(source_steps(batch.weights, 1)[0])):
        np.testing.assert_allclose(norms[: source + 1, b], flow[: source + 1, b][::-1], rtol=1e-4)
        assert np.isnan(norms[source + 1 :, b]).all()


def test_single_sources_keep_near_and_far_apart():
    """With a loss at every step, the norm at a lag is that of one step's loss alone."""
    task = copy_memory(2)
    model, _ = make_model("lstm", task)
    params = model.init(jax.random.key(0))
    batch = task.sample("valid", jax.random.key(0), jnp.int32(0), 2)
    norms = lag_norms(model, params, batch, task, num_sources=2)["layer_0/c"]
    alone = batch._replace(weights=jnp.zeros_like(batch.weights).at[10].set(1.0))
    flow = gradient_flow(model, params, alone, task)["layer_0"]["c"]
    expected = jnp.log(jnp.linalg.norm(flow, axis=-1))[10::-1]
    assert_close(norms[0, :11], expected, 1e-4)
