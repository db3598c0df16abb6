"""What every layer holds at each step, against a loop in plain Python."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_close, one_step

from rnngen.cells import CELLS
from rnngen.diagnostics import activations, gradient_flow, lag_norms, memory_horizon
from rnngen.heads import categorical, gaussian
from rnngen.models import build_model
from rnngen.tasks import adding
from rnngen.types import Batch, InputSpec

T, B = 5, 3


def tokens_model():
    model = build_model([CELLS["lstm"](4), CELLS["gru"](2)], InputSpec(6, tokens=True), categorical(6), engine="scan")
    return model, model.init(jax.random.key(0)), jax.random.randint(jax.random.key(1), (T, B), 0, 6)


def test_each_layer_at_each_step():
    model, params, tokens = tokens_model()
    found = activations(model, params, tokens)
    assert list(found) == ["layer_0", "layer_1"]
    below = jax.nn.one_hot(tokens, 6)
    for name, cell in model.layers.items():
        carry, prepared = cell.init_carry(params[name], (B,)), cell.prepare(params[name])
        for t in range(T):
            gates = cell.observe(prepared, carry, cell.project(prepared, below[t]))
            carry, output = one_step(cell, params[name], carry, below[t])
            at_step = jax.tree.map(lambda leaf, t=t: leaf[t], found[name])
            assert_close(at_step.output, output, 1e-5)
            assert_close(at_step.carry, carry, 1e-5)
            assert_close(at_step.gates, gates, 1e-5)
        below = found[name].output
    assert_close(model.decode(params, below), model.apply(params, tokens)[1], 1e-5)
    assert set(found["layer_0"].gates) == {"i", "f", "o"}


def test_padding_and_a_given_carry():
    """Where the mask is False the output is zero and the carry stays; a sequence goes on from a carry."""
    model, params, tokens = tokens_model()
    mask = jnp.arange(T)[:, None] < jnp.array([5, 3, 1])
    found = activations(model, params, tokens, mask=mask)
    for layer in found.values():
        assert (np.asarray(layer.output)[~np.asarray(mask)] == 0).all()
    hidden = found["layer_1"].carry
    assert_close(hidden[4, 2], hidden[0, 2])
    first, second = (activations(model, params, tokens[:2]), None)
    carry = model.apply(params, tokens[:2])[0]
    second = activations(model, params, tokens[2:], carry)
    whole = activations(model, params, tokens)
    both = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), first, second)
    assert_close(both, whole, 1e-5)


def test_a_model_that_reads_both_ways_is_refused():
    model = build_model(CELLS["gru"](2), 3, gaussian(1), bidirectional=True, engine="scan")
    params = model.init(jax.random.key(0))
    with pytest.raises(ValueError, match="activations: are of layers one above another"):
        activations(model, params, jnp.ones((T, B, 3)))


def test_gradient_norms_of_any_batch_need_no_task():
    """By default the loss is the head's: of a regression to a Gaussian, half of the task's mean squared error."""
    task = adding(T, eval_size=B)
    model = build_model(CELLS["gru"](4), 2, gaussian(1), task.objective.loss, engine="scan")
    params, batch = model.init(jax.random.key(0)), task.batch("valid", jax.random.key(0), 0, B)

    @jax.jit
    def measured(params):
        return [(gradient_flow(model, params, batch, of), lag_norms(model, params, batch, of)) for of in (None, task)]

    (ours, norms), (by_task, of_task) = measured(params)
    ratio = np.asarray(by_task["layer_0"]) / np.asarray(ours["layer_0"])
    assert np.allclose(ratio, ratio[0, 0, 0], rtol=1e-4)
    assert np.allclose(of_task["all"] - norms["all"], np.log(abs(ratio[0, 0, 0])), atol=1e-4)
    assert memory_horizon(model, params, batch).steps == pytest.approx(memory_horizon(model, params, batch, task).steps)


def test_norms_of_a_batch_of_ones_own():
    """The norm at lag 0 is that of the gradient in the carry that enters the last step."""
    model, params, tokens = tokens_model()
    weights = jnp.zeros((T, B)).at[-1].set(1.0)
    batch = Batch(tokens, jnp.zeros((T, B), jnp.int32), weights)
    flow = gradient_flow(model, params, batch)
    expected = jnp.log(jnp.linalg.norm(flow["layer_1"], axis=-1))[::-1]
    assert_close(lag_norms(model, params, batch)["layer_1/h"][0], expected, 1e-4)
