"""What a prediction hangs on, where it can be said beforehand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import draw_batch, make_model
from my_lab import leaky

from rnngen.datasets import TASKS
from rnngen.diagnostics.connectivity import connectivity
from rnngen.models.stack import build_model

T, B = 7, 2


def everywhere(task):
    batch = draw_batch(task, size=B)
    return batch._replace(weights=jnp.ones_like(batch.weights), targets=jnp.ones_like(batch.targets))


@pytest.mark.slow
def test_it_is_the_gradient_of_the_loss_at_one_step():
    model, task = make_model("lstm", TASKS["adding"](T, eval_size=20))
    params, batch = model.init(jax.random.key(0)), everywhere(task)
    found = jax.jit(lambda p: connectivity(model, p, batch, task, jnp.array([2, 5])))(params)
    assert found.shape == (2, T, B)

    def loss(inputs, step):
        outputs = model.apply(params, inputs)[1]
        at_step = batch._replace(weights=jnp.zeros_like(batch.weights).at[step].set(1))
        return task.objective.loss(outputs, at_step)[1]["loss"][0]

    for place, step in enumerate((2, 5)):
        expected = jnp.linalg.norm(jax.grad(loss)(batch.inputs, step), axis=-1)
        np.testing.assert_allclose(found[place], expected, rtol=1e-4, atol=1e-7)
        np.testing.assert_array_equal(found[place, step + 1 :], 0)


@pytest.mark.slow
def test_a_leaky_unit_that_sees_the_same_at_each_step_forgets_by_its_leak():
    task = TASKS["adding"](T, eval_size=20)
    model = build_model([leaky(5)], task.data.input_spec, task.objective.head, task.objective.loss)
    batch = everywhere(task)
    batch = batch._replace(inputs=jnp.full_like(batch.inputs, 0.3))
    params = model.init(jax.random.key(0))
    norms = jax.jit(lambda p: connectivity(model, p, batch, task, jnp.array([T - 1])))(params)[0]
    np.testing.assert_allclose(norms[1:] / norms[:-1], np.full((T - 1, B), 1 / 0.9), rtol=1e-4)


@pytest.mark.slow
def test_masked_inputs_count_for_nothing():
    model, task = make_model("gru", TASKS["adding"](T, eval_size=20))
    batch = everywhere(task)._replace(mask=jnp.ones((T, B), bool).at[3].set(False))
    found = jax.jit(lambda p: connectivity(model, p, batch, task, jnp.array([T - 1])))(model.init(jax.random.key(0)))
    np.testing.assert_array_equal(found[0, 3], 0)
    assert (found[0, 2] > 0).all()
