"""All that a trained run is good for, from what `Run.restore` gives: the model and its parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_close

import rnngen
from rnngen.adapters import load_params, save_params, to_torch
from rnngen.config import base_config, component

pytestmark = pytest.mark.slow


def config(task, cell="lstm"):
    made = base_config()
    made.task, made.cell, made.model.engine.name = task, component(cell, hidden_dim=6), "scan"
    made.train.update({"steps": 6, "batch_size": 2, "log_every": 2, "eval_every": 6, "save_every": 6})
    made.train.eval_batch_size = 2
    made.diagnose.what = ()
    return made


@pytest.fixture(scope="module")
def restored(tmp_path_factory):
    """A classifier's model and parameters."""
    folder = tmp_path_factory.mktemp("run")
    run = rnngen.train(config(component("latch", length=5, eval_size=4)), folder / "latch")
    return run, *run.restore()


@pytest.fixture(scope="module")
def maker(tmp_path_factory):
    """The model and parameters of a run that makes text, whose data are gone."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "words.txt").write_text("to be or not to be, that is the question. " * 40)
    run = rnngen.train(config(component("text", path=str(folder / "words.txt"), chunk=8)), folder / "text")
    (folder / "words.txt").unlink()
    return run.restore()


def test_outputs_step_by_step_and_by_layer(restored):
    run, model, params = restored
    xs = np.random.RandomState(0).normal(size=(7, 3, 1))
    last, outputs = model.apply(params, xs)
    carry = model.init_carry(params, (3,))
    for t, x in enumerate(xs):
        carry, output = model.step(params, carry, x.astype(np.float32))
        assert_close(output, outputs[t], 1e-5)
    assert_close(carry, last, 1e-5)
    layers = rnngen.diagnostics.activations(model, params, xs)
    assert_close(model.decode(params, layers["layer_0"].output), outputs, 1e-5)
    assert run.restore()[1].keys() == params.keys()


def test_gradient_norms_of_another_batch(restored):
    _, model, params = restored
    batch = rnngen.Batch(jnp.ones((9, 2, 1)), jnp.zeros((9, 2), jnp.int32), jnp.ones((9, 2)))
    norms = rnngen.diagnostics.lag_norms(model, params, batch)
    assert norms["layer_0/c"].shape == (1, 9, 2)
    assert np.isfinite(norms["all"]).all()
    assert rnngen.diagnostics.memory_horizon(model, params, batch).steps > 0


def test_files_for_elsewhere(restored, tmp_path):
    _, model, params = restored
    save_params(params, tmp_path / "latch.npz")
    xs = jnp.ones((4, 2, 1))
    outputs = model.apply(params, xs)[1]
    assert_close(model.apply(load_params(tmp_path / "latch.npz"), xs)[1], outputs)
    assert {"rnn.weight_hh_l0", "head.weight"} <= set(to_torch(params, "rnn.", head="head"))
    program = rnngen.models.export_apply(model, params)
    (tmp_path / "latch.stablehlo").write_bytes(program.serialize())
    found = jax.export.deserialize((tmp_path / "latch.stablehlo").read_bytes()).call(xs)[1]
    assert_close(found, outputs, 1e-5)


def test_sequences_and_their_scores(maker):
    """A score is the log-probability of each value given those before it, from the first on."""
    model, params = maker
    drawn = rnngen.generate(model, params, jax.random.key(0), 12)
    nats, steps = rnngen.score(model, params, drawn)
    inputs = jnp.concatenate([jnp.asarray(model.input_spec.start)[None], drawn[:-1]])
    outputs = model.apply(params, inputs.astype(jnp.int32)[:, None])[1][:, 0]
    expected = jnp.take_along_axis(jax.nn.log_softmax(outputs), jnp.asarray(drawn)[:, None], axis=1).sum()
    assert steps == 12
    assert nats == pytest.approx(float(expected), rel=1e-4)
    carried, _ = rnngen.score(model, params, drawn[6:], prompt=drawn[:6])
    first, _ = rnngen.score(model, params, drawn[:6])
    assert first + carried == pytest.approx(nats, rel=1e-4)
