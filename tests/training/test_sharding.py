"""One training on several devices is the same training: sums, gradients and states, to rounding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_close, make_experiment, make_model, means

from rnngen.cells import CELLS
from rnngen.engines.cpu import calibration
from rnngen.engines.cpu.calibration import Found
from rnngen.engines.fused import ready
from rnngen.tasks import adding
from rnngen.training import compiled, init_state
from rnngen.training.compiled import compiled_steps, mesh_of_run, place
from rnngen.training.regularizers import flossing
from rnngen.training.sharding import loss_and_gradient, loss_sums, mesh_for, mesh_of
from rnngen.training.state import evaluate, split_batches, train_steps

ALONE = mesh_of(1)


def test_there_are_devices_to_share_between():
    assert jax.local_device_count() == 2
    assert [mesh_for(*sizes).size for sizes in ((4,), (3,), (4, 6), (4, 5))] == [2, 1, 2, 1]


def uneven_batch():
    """Sequences of lengths 2 to 8, more weight on the first half of the batch than on the second."""
    model, task = make_model("lstm", adding(8, min_length=2, eval_size=20))
    batch = task.data.sample("train", jax.random.key(1), jnp.int32(0), 6)
    return model, batch._replace(weights=batch.weights * jnp.array([3.0, 1, 1, 1, 0.5, 0]))


@pytest.mark.slow
def test_gradient_and_sums_are_those_of_one_device():
    model, batch = uneven_batch()
    params = model.init(jax.random.key(0))
    both, alone = (jax.jit(loss_and_gradient(model, m))(params, batch, jax.random.key(2)) for m in (mesh_for(6), ALONE))
    expected = jax.grad(lambda p: model.loss(p, batch)[0])(params)
    assert_close(both[0], expected, 1e-5)
    assert_close(both, alone, 1e-5)
    assert_close(jax.jit(loss_sums(model, mesh_for(6)))(params, batch)[0], model.loss(params, batch)[1][1], 1e-5)


@pytest.mark.slow
def test_devices_draw_their_own_noise():
    model, task = make_model("rnn", dropout=0.5)
    params = model.init(jax.random.key(0))
    one = task.data.sample("train", jax.random.key(1), jnp.int32(0), 1)
    twice = jax.tree.map(lambda x: jnp.concatenate([x, x], axis=1), one)
    per_device = lambda params, batch, key: loss_and_gradient(model, mesh_for(2))(params, batch, key)[1]["loss"][0]  # noqa: E731
    alone = [
        float(model.loss(params, one, key=jax.random.fold_in(jax.random.key(2), n), train=True)[0]) for n in (0, 1)
    ]
    assert alone[0] != alone[1]
    np.testing.assert_allclose(jax.jit(per_device)(params, twice, jax.random.key(2)), sum(alone), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [4, 6])
def test_training_is_the_same_on_two_devices(batch_size):
    experiment = make_experiment("gru")
    model, task, optimizer = experiment.model, experiment.task, experiment.optimizer

    def run(mesh):
        steps = train_steps(model, task, optimizer, batch_size, 3, mesh)
        return jax.jit(steps)(init_state(model, optimizer, 0))

    (shared, sums), (alone, expected) = run(None), run(ALONE)
    assert_close(shared.params, alone.params, 1e-5)
    assert_close(sums, expected, 1e-5)
    assert len(jax.tree.leaves(shared.params)[0].devices()) == 2


def test_evaluation_is_the_same_on_two_devices():
    """20 examples in batches of 8: the second device has weights of 0 in the last batch."""
    model, task = make_model("rnn")
    params = model.init(jax.random.key(0))
    items, batch_of = split_batches(task, "valid", 8)
    shared, alone = (means(jax.jit(evaluate(model, m, batch_of))(params, items)) for m in (mesh_of(2), ALONE))
    assert shared["loss"] == pytest.approx(alone["loss"], rel=1e-5)


@pytest.mark.parametrize(
    ("cell", "batch_size", "cores", "loops", "devices"),
    [
        ("lstm", 16, 2, True, 1),
        ("lstm", 16, 2, False, 2),  # no compiler
        ("lstm", 16, 3, True, 2),  # loops for two threads alone
        ("lstm", 4, 2, True, 2),
        ("mgu", 16, 2, True, 2),  # a cell that they do not have
        ("mingru", 16, 2, True, 2),  # a recurrence that is compiled among what is not
    ],
)
def test_one_device_is_taken_where_its_loops_use_all_cores(monkeypatch, cell, batch_size, cores, loops, devices):
    why_not = ready(CELLS["lstm"](8)).why_not
    if loops and why_not:
        pytest.skip(why_not)
    # Nothing timed, so that loops are taken where there are some.
    monkeypatch.setattr(calibration, "find", lambda *_: Found("", None if loops else "none", {}, {}, ""))
    monkeypatch.setattr(compiled, "count_cores", lambda: cores)
    assert mesh_of_run(make_experiment(cell, batch_size=batch_size)).size == devices


@pytest.mark.slow
def test_linear_algebra_runs_on_one_device():
    """On two CPU devices at once LAPACK's calls wait for each other's threads for ever."""
    experiment = make_experiment("mgu", diagnose=("lyapunov_spectrum",))
    assert mesh_of_run(experiment._replace(regularizer=flossing(exponents=2))).size == 1
    assert mesh_of_run(experiment).size == 2
    state = init_state(experiment.model, experiment.optimizer, 0)
    states = place(jax.tree.map(lambda x: x[None], state), experiment)
    assert len(states.step.devices()) == 2
    found = compiled_steps(experiment, states).diagnose["lyapunov_spectrum"](state.params)
    assert all(len(leaf.devices()) == 1 for leaf in jax.tree.leaves(found))
