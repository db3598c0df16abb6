"""A model's pure functions agree with one another, and run under jit, vmap over parameters and scan."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_close, make_model

from rnngen.cells import rnn
from rnngen.engines import unroll
from rnngen.models import build_model
from rnngen.tasks import TASKS, adding, copy_memory


@pytest.fixture(params=["features", "one-hot", "embedded"])
def made(request, cell_name):
    task = adding(6) if request.param == "features" else copy_memory(4)
    model, _ = make_model(cell_name, task, layers=2, embed_dim=3 if request.param == "embedded" else 0)
    batch = task.sample("train", jax.random.key(1), jnp.int32(0), 3)
    return model, model.init(jax.random.key(0)), batch


def test_stepping_equals_applying(made):
    model, params, batch = made
    carry, outputs = model.init_carry(params, (3,)), []
    for x in batch.inputs:
        carry, y = jax.jit(model.step)(params, carry, x)
        outputs.append(y)
    assert_close((carry, jnp.stack(outputs)), model.apply(params, batch.inputs), 1e-5)


def test_the_model_as_a_cell_equals_applying(made):
    model, params, batch = made
    mask = jnp.ones(batch.weights.shape, bool).at[-2:, 0].set(False)
    resets = jnp.zeros(batch.weights.shape, bool).at[2, 1].set(True)
    _, outputs = model.apply(params, batch.inputs, mask=mask, resets=resets)
    _, as_cell = unroll(model.cell, params, batch.inputs, mask=mask, resets=resets)
    assert_close(jnp.where(mask[..., None], outputs, 0), as_cell, 1e-5)


def test_carry_goes_on_where_it_stopped(made):
    model, params, batch = made
    carry, first = model.apply(params, batch.inputs[:2])
    carry, second = model.apply(params, batch.inputs[2:], carry)
    assert_close((carry, jnp.concatenate([first, second])), model.apply(params, batch.inputs), 1e-5)


def test_runs_under_jit_vmap_over_params_and_scan(made):
    model, _, batch = made
    params = jax.vmap(model.init)(jax.random.split(jax.random.key(0), 2))
    losses = jax.jit(jax.vmap(lambda p: model.loss(p, batch)[0]))(params)
    one_by_one = jax.lax.map(lambda p: model.loss(p, batch)[0], params)
    single = [model.loss(jax.tree.map(lambda p, i=i: p[i], params), batch)[0] for i in range(2)]
    assert_close(losses, jnp.stack(single), 1e-5)
    assert_close(one_by_one, jnp.stack(single), 1e-5)


def test_loss_is_the_tasks_loss_of_apply():
    model, task = make_model("lstm")
    params, batch = model.init(jax.random.key(0)), task.sample("train", jax.random.key(1), jnp.int32(0), 5)
    scalar, (_, sums) = model.loss(params, batch)
    _, outputs = model.apply(params, batch.inputs)
    expected = float(jnp.mean((outputs[-1] - batch.targets[-1]) ** 2))
    assert float(scalar) == pytest.approx(expected, rel=1e-5)
    assert float(sums["loss"][0] / sums["loss"][1]) == pytest.approx(expected, rel=1e-5)


def test_dropout_acts_in_training_only_and_follows_its_key():
    model, task = make_model("rnn", hidden_dim=64, dropout=0.5)
    params, batch = model.init(jax.random.key(0)), task.sample("train", jax.random.key(1), jnp.int32(0), 5)
    loss = lambda seed, train: float(model.loss(params, batch, key=jax.random.key(seed), train=train)[0])  # noqa: E731
    assert loss(1, True) == loss(1, True)
    assert loss(1, True) != loss(2, True)
    assert loss(1, False) == loss(2, False) == float(model.loss(params, batch)[0])


def test_bfloat16_keeps_parameters_and_losses_in_float32():
    model, task = make_model("lstm", dtype="bfloat16")
    params, batch = model.init(jax.random.key(0)), task.sample("train", jax.random.key(1), jnp.int32(0), 5)
    (loss, (carry, _)), gradient = jax.value_and_grad(model.loss, has_aux=True)(params, batch)
    assert loss.dtype == jnp.float32
    assert {leaf.dtype for leaf in jax.tree.leaves((params, gradient))} == {jnp.dtype("float32")}
    assert {leaf.dtype for leaf in jax.tree.leaves(carry)} == {jnp.dtype("bfloat16")}
    reference = make_model("lstm")[0].loss(params, batch)[0]
    assert float(loss) == pytest.approx(float(reference), abs=0.02)


def test_layers_have_names_and_draw_apart():
    model, _ = make_model("rnn", layers=3)
    params = model.init(jax.random.key(0))
    assert set(params) == {"layer_0", "layer_1", "layer_2", "head"}
    assert not np.array_equal(params["layer_1"]["kernel"], params["layer_2"]["kernel"])


def test_head_init_is_an_argument():
    model, _ = make_model("rnn", hidden_dim=400, head_init={"name": "normal", "kwargs": {"stddev": 0.01}})
    assert float(jnp.std(model.init(jax.random.key(0))["head"]["kernel"])) == pytest.approx(0.01, rel=0.15)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1"),
        ({"embed_dim": 4}, "embed_dim must be 0, or positive where inputs are tokens"),
        ({"engine": "sca"}, "did you mean 'scan'"),
        ({"engine": {"name": "associative", "kwargs": {}}}, "needs a cell with an Affine structure"),
        ({"head_init": "lecum"}, "did you mean 'lecun'"),
    ],
)
def test_bad_options(options, message):
    task = TASKS["adding"](4)
    with pytest.raises(ValueError, match=message):
        build_model([rnn(3)], task.input_spec, task.head, task.loss, **options)


def test_what_an_engine_notes_is_among_the_metrics():
    model, task = make_model("gru", layers=2, engine="newton")
    batch = task.sample("train", jax.random.key(1), jnp.int32(0), 3)
    sums = jax.jit(lambda p: model.loss(p, batch)[1][1])(model.init(jax.random.key(0)))
    for layer in ("layer_0", "layer_1"):
        total, count = sums[f"{layer}/newton_iterations"]
        assert 1 <= float(total) <= 50
        assert float(count) == 1
        assert float(sums[f"{layer}/newton_fell_back"][0]) == 0


def test_a_model_needs_a_layer():
    task = TASKS["adding"](4)
    with pytest.raises(ValueError, match="num_layers"):
        build_model([], task.input_spec, task.head, task.loss)
