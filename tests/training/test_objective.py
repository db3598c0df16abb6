"""What is minimised: the loss and a penalty, the penalty alone at first, the loss alone at last."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_close, draw_batch, make_experiment, make_model

from rnngen.storage.folder import RunFolder
from rnngen.training import fit
from rnngen.training.objective import regularized
from rnngen.training.regularizers import Regularizer, none
from rnngen.training.sharding import loss_and_gradient, mesh_of


def square(model, task, params, batch):
    """A penalty whose gradient is known: half the squared norm of the parameters."""
    return 0.5 * sum(jnp.sum(p**2) for p in jax.tree.leaves(params))


@pytest.fixture(scope="module")
def made():
    model, task = make_model("rnn")
    params = model.init(jax.random.key(0))
    batch = draw_batch(task, "train", 4, 1)
    return model, task, params, batch, jax.jit(jax.grad(lambda p: model.loss(p, batch)[0]))(params)


@pytest.fixture(scope="module", params=[1, 2])
def gradient_at(request, made):
    """(devices, (params, batch, key, step) -> (gradient, sums, carry)): the step is an argument, for one program."""
    objective = regularized(*made[:2], Regularizer(square, before=2, until=5))
    return request.param, jax.jit(loss_and_gradient(made[0], mesh_of(request.param), objective))


@pytest.mark.parametrize(("step", "of_loss", "of_penalty"), [(0, 0, 1), (2, 1, 1), (3, 1, 1), (5, 1, 0)])
def test_what_counts_when(made, gradient_at, step, of_loss, of_penalty):
    _, _, params, batch, slope = made
    devices, run = gradient_at
    gradient, sums, _ = run(params, batch, jax.random.key(2), jnp.int32(step))
    assert_close(gradient, jax.tree.map(lambda g, p: of_loss * g + of_penalty * p, slope, params), 1e-5)
    total, count = sums["penalty"]
    assert float(total) == pytest.approx(devices * of_penalty * float(square(*made[:3], batch)), rel=1e-5)
    assert float(count) == devices * of_penalty


def test_a_loss_that_explodes_does_not_reach_what_comes_before_it(made):
    model, task, params, batch, _ = made
    wild = dataclasses.replace(
        model, loss=lambda p, b, c, **o: (lambda s, r: (s * jnp.inf, r))(*model.loss(p, b, c, **o))
    )
    objective = regularized(wild, task, Regularizer(square, before=1))
    run = jax.jit(loss_and_gradient(wild, mesh_of(1), objective))
    gradient, _, _ = run(params, batch, jax.random.key(2), jnp.int32(0))
    assert_close(gradient, params, 1e-5)


def test_no_penalty_no_objective(made):
    assert regularized(made[0], made[1], none()) is None


@pytest.mark.slow
def test_a_run_goes_on_past_the_end_of_its_penalty(tmp_path):
    experiment = make_experiment("rnn", steps=8)._replace(regularizer=Regularizer(square, before=2, until=4))
    folder = RunFolder(tmp_path)
    folder.start({})
    assert fit(experiment, folder)["status"] == "finished"
    penalties = [row["penalty"] for row in folder.rows("metrics") if row["split"] == "train"]
    assert all(np.isfinite(penalties[:2]))
    assert all(np.isnan(penalties[2:]))
