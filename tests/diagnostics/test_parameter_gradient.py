"""The parameters' gradient by lag: its parts sum to the whole for every cell, each in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import double, draw_batch, make_model, slow

from rnngen.cells import CELLS, Cell
from rnngen.cells.credit import window, with_credit
from rnngen.diagnostics import DIAGNOSES, parameter_gradient_by_lag, parameter_gradients
from rnngen.diagnostics.gradient_flow import summed_loss
from rnngen.heads import gaussian
from rnngen.models import build_model
from rnngen.tasks import adding
from rnngen.types import Batch

QUICK = ("lru", "lstm", "rnn")


def parts_and_whole(model, params, batch):
    """Of each parameter: its gradient by lag, and the whole of it."""

    def loss(params):
        return summed_loss(model, batch)(model.apply(params, batch.inputs, mask=batch.mask, resets=batch.resets)[1])

    @jax.jit
    def both(params):
        return parameter_gradients(model, params, batch, None, 2), jax.grad(loss)(params)

    return zip(*map(jax.tree.leaves, both(params)), strict=True)


def ragged(steps=7, examples=3, features=2):
    """Sequences with padding, resets, and weights at two steps of each example."""
    rng = np.random.default_rng(0)
    mask = np.arange(steps)[:, None] < [steps, steps - 1, steps - 3]
    weights = np.zeros((steps, examples))
    weights[[3, 2, 1], [0, 1, 2]] = weights[[6, 5, 3], [0, 1, 2]] = [1.0, 0.5, 2.0]
    resets = np.zeros((steps, examples), bool)
    resets[4, 0] = True
    arrays = rng.normal(size=(steps, examples, features)), rng.normal(size=(steps, examples, 1)), weights, mask, resets
    return Batch(*map(jnp.asarray, arrays))


@pytest.mark.parametrize("name", [*QUICK, *slow(*sorted(set(CELLS) - set(QUICK)))])
def test_the_parts_sum_to_the_whole(x64, name):
    batch = ragged()
    cell = CELLS[name](4)
    model = build_model([cell, cell], 2, gaussian(1), dtype="float64")
    params = double(model.init(jax.random.key(0)))
    for part, one in parts_and_whole(model, params, batch):
        np.testing.assert_allclose(part.sum(axis=0), one, rtol=1e-10, atol=1e-10 * float(jnp.abs(one).max()))


def test_of_a_leaky_integrator_in_closed_form(x64):
    """h' = a h + u, loss h_T: the part of a at lag k is a^k times the carry that enters that step."""
    a, steps = 0.7, 6
    leaky = Cell(
        lambda key, d: {"a": jnp.full((1,), a)},
        lambda params, batch: jnp.zeros((*batch, 1)),
        lambda params, h, u: (params["a"] * h + u,) * 2,
        1,
    )
    xs = jnp.arange(1.0, steps + 1)[:, None, None]
    model = build_model([leaky], 1, gaussian(1), _plain_sum, dtype="float64")
    params = double(model.init(jax.random.key(0)))
    params["layer_0"]["a"] = jnp.full((1,), a)
    params["head"] = {"kernel": jnp.ones((1, 1)), "bias": jnp.zeros(1)}
    weights = jnp.zeros((steps, 1)).at[-1].set(1.0)
    batch = Batch(xs, jnp.zeros((steps, 1, 1)), weights)
    carries = [0.0]
    for x in range(1, steps + 1):
        carries.append(a * carries[-1] + x)
    expected = [a**k * carries[steps - 1 - k] for k in range(steps)] + [0.0]
    task = adding(4)._replace(objective=adding(4).objective._replace(loss=_plain_sum))
    found = parameter_gradients(model, params, batch, task)["layer_0"]["a"][:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    shares = parameter_gradient_by_lag(model, params, batch, task)
    np.testing.assert_allclose(shares.norm["layer_0/a"], expected, rtol=1e-12)
    np.testing.assert_allclose(shares.beyond["layer_0/a"][2], sum(expected[2:]) / sum(expected), rtol=1e-10)
    np.testing.assert_allclose(shares.cosine["layer_0/a"][:5], 1)  # the first step meets an empty carry
    assert shares.norm["head/kernel"][1:].max() == 0


def _plain_sum(outputs, batch):
    total = jnp.sum(outputs[..., 0] * batch.weights)
    return total, {"loss": (total, jnp.sum(batch.weights))}


@pytest.mark.parametrize("steps", [3, *slow(1)])
def test_a_window_of_credit_ends_the_parts(x64, steps):
    batch = ragged()
    model = build_model([with_credit(CELLS["rnn"](4), window(steps))], 2, gaussian(1), dtype="float64")
    params = double(model.init(jax.random.key(0)))
    for part, one in parts_and_whole(model, params, batch):
        assert (part[steps:] == 0).all()
        np.testing.assert_allclose(part.sum(axis=0), one, rtol=1e-10, atol=1e-13)


def test_the_record_is_by_parameter():
    task = adding(8, eval_size=20)
    model, _ = make_model("gru", task)
    diagnosis, batch = DIAGNOSES["parameter_gradient_by_lag"](), draw_batch(task, "valid", 4, 0)
    found = jax.jit(lambda p: diagnosis.measure(model, p, batch, task))(model.init(jax.random.key(0)))
    record = diagnosis.record(jax.device_get(found))
    assert len(record["norm"]["layer_0/recurrent_kernel"]) == 9
    assert record["beyond"]["all"][0] == pytest.approx(1)
    assert record["beyond"]["all"][-1] < 1e-3
    with pytest.raises(ValueError, match="sources must be a positive whole number, got 0"):
        DIAGNOSES["parameter_gradient_by_lag"](sources=0)
