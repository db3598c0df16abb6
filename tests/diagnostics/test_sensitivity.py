"""Sensitivity of the carry to parameters: in closed form, against whole Jacobians, and in a run's figure."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import one_cell

import rnngen
from rnngen.cells import Cell
from rnngen.cells.credit import decay, with_credit
from rnngen.config import base_config, component
from rnngen.diagnostics import DIAGNOSES, parameter_sensitivity
from rnngen.engines import unroll

STEPS = 400


def leaky(a):
    """h' = a h + u of one unit."""
    return Cell(
        lambda key, d: {"a": jnp.full((1,), a)},
        lambda params, batch: jnp.zeros((*batch, 1), params["a"].dtype),
        lambda params, h, u: (params["a"] * h + u,) * 2,
        1,
    )


@pytest.mark.parametrize("a", [0.5, 0.95])
def test_of_a_leaky_integrator_in_closed_form(x64, a):
    xs = np.random.default_rng(0).normal(size=(STEPS, 200, 1))
    cell = leaky(a)
    found = jax.jit(lambda p: parameter_sensitivity(cell, p, jnp.asarray(xs), draws=1))({"a": jnp.full((1,), a)})
    lags = np.arange(STEPS)
    back = xs[::-1, :, 0]  # the input of each lag
    derivative = ((lags * a ** np.maximum(lags - 1, 0))[:, None] * back).sum(axis=0)
    carry = ((a**lags)[:, None] * back).sum(axis=0)
    # One number has one sign: a single draw is exact.
    np.testing.assert_allclose(found.parameters["a"], np.sqrt(np.mean(derivative**2)), rtol=1e-9)
    np.testing.assert_allclose(found.carry, np.sqrt(np.mean(carry**2)), rtol=1e-9)
    np.testing.assert_allclose(found.parameters["a"], np.sqrt((1 + a**2) / (1 - a**2) ** 3), rtol=0.2)


def test_signs_give_the_norm_of_the_whole_jacobian(x64):
    cell, steps, examples, draws = one_cell("gru", 3), 5, 2, 2000
    params = jax.tree.map(lambda x: x.astype(jnp.float64), cell.init(jax.random.key(0), 2))
    xs = jax.random.normal(jax.random.key(1), (steps, examples, 2))
    mask = jnp.ones((steps, examples), bool).at[3:, 1].set(False)
    found = jax.jit(lambda p: parameter_sensitivity(cell, p, xs, mask=mask, draws=draws))(params)
    jacobian = jax.jit(jax.jacrev(lambda p: unroll(cell, p, xs, mask=mask, engine="scan")[0]))(params)
    for name, whole in jacobian.items():
        # [b, h, ...]: a mean over examples of squared norms; the spread of a draw is below its mean.
        expected = np.sqrt(np.mean(np.sum(np.asarray(whole).reshape(examples, -1) ** 2, axis=1)))
        np.testing.assert_allclose(found.parameters[name], expected, rtol=4 / np.sqrt(draws))
    parts = [value for name, value in found.parameters.items() if name != "all"]
    np.testing.assert_allclose(found.parameters["all"], np.linalg.norm(parts), rtol=1e-12)


def test_it_is_of_the_dynamics_and_not_of_a_credit():
    cell, xs = leaky(0.9), jnp.ones((6, 1, 1))
    params = {"a": jnp.full((1,), 0.9)}
    changed = with_credit(cell, decay(alpha=0.5))
    assert parameter_sensitivity(changed, params, xs, draws=1) == parameter_sensitivity(cell, params, xs, draws=1)


@pytest.mark.slow
def test_a_run_records_and_draws_it(tmp_path):
    config = base_config()
    config.cell = component("gru", hidden_dim=4)
    config.task = component("latch", length=6, eval_size=32)
    config.train.update({"steps": 2, "batch_size": 4, "log_every": 1, "eval_every": 0, "eval_batch_size": 32})
    config.diagnose.update({"what": ("gradient_flow", component("parameter_sensitivity", draws=2)), "examples": 4})
    run = rnngen.train(config, tmp_path)
    of = run.diagnoses[run.diagnoses["what"] == "parameter_sensitivity"]
    assert len(of) == 2
    assert all(record["all"] > record["layer_0/recurrent_kernel"] > 0 for record in of["parameters"])
    drawn = rnngen.report.parameter_sensitivity(run)
    points = [line.get_ydata() for axes in drawn.axes for line in axes.lines]
    np.testing.assert_allclose(np.concatenate(points), [record["all"] for record in of["parameters"]])
    with pytest.raises(ValueError, match="draws must be a positive whole number"):
        DIAGNOSES["parameter_sensitivity"](draws=0)
