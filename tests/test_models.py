"""A model's pure functions agree with one another, and run under jit, vmap over parameters and scan."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_close, draw_batch, make_model, quick_jit, unrolled

from rnngen.cells import CELLS, rnn
from rnngen.models import build_model
from rnngen.tasks import TASKS, adding, copy_memory

KINDS = ("features", "one-hot", "embedded")


# What goes in is the first layer's affair, whatever its cell: each cell with one kind of it, and each kind with a cell.
@pytest.fixture(
    params=[(cell, KINDS[i % len(KINDS)]) for i, cell in enumerate(sorted(CELLS))], ids="-".join, scope="module"
)
def made(request):
    cell_name, kind = request.param
    task = adding(6) if kind == "features" else copy_memory(4)
    model, _ = make_model(cell_name, task, layers=2, embed_dim=3 if kind == "embedded" else 0)
    batch = draw_batch(task, "train", 3, 1)
    return model, model.init(jax.random.key(0)), batch, quick_jit(model.apply)


def test_stepping_equals_applying(made):
    model, params, batch, apply = made
    carry, outputs, step = model.init_carry(params, (3,)), [], quick_jit(model.step)
    for x in batch.inputs:
        carry, y = step(params, carry, x)
        outputs.append(y)
    assert_close((carry, jnp.stack(outputs)), apply(params, batch.inputs), 1e-5)


def test_the_model_as_a_cell_equals_applying(made):
    model, params, batch, apply = made
    mask = jnp.ones(batch.weights.shape, bool).at[-2:, 0].set(False)
    resets = jnp.zeros(batch.weights.shape, bool).at[2, 1].set(True)
    _, outputs = apply(params, batch.inputs, mask=mask, resets=resets)
    _, as_cell = unrolled(model.cell, params, batch.inputs, mask=mask, resets=resets)
    assert_close(jnp.where(mask[..., None], outputs, 0), as_cell, 1e-5)


def test_carry_goes_on_where_it_stopped(made):
    _, params, batch, apply = made
    carry, first = apply(params, batch.inputs[:2])
    carry, second = apply(params, batch.inputs[2:], carry)
    assert_close((carry, jnp.concatenate([first, second])), apply(params, batch.inputs), 1e-5)


def test_runs_under_jit_vmap_over_params_and_scan(made):
    model, _, batch, _ = made
    params = jax.vmap(model.init)(jax.random.split(jax.random.key(0), 2))
    loss = lambda params: model.loss(params, batch)[0]  # noqa: E731
    single, run = [], quick_jit(loss)
    for i in range(2):
        single.append(run(jax.tree.map(lambda p, i=i: p[i], params)))
    assert_close(quick_jit(jax.vmap(loss))(params), jnp.stack(single), 1e-5)
    assert_close(quick_jit(lambda params: jax.lax.map(loss, params))(params), jnp.stack(single), 1e-5)


def test_loss_is_the_tasks_loss_of_apply():
    model, task = make_model("lstm")
    params, batch = model.init(jax.random.key(0)), draw_batch(task, "train", 5, 1)
    scalar, (_, sums) = model.loss(params, batch)
    _, outputs = model.apply(params, batch.inputs)
    expected = float(jnp.mean((outputs[-1] - batch.targets[-1]) ** 2))
    assert float(scalar) == pytest.approx(expected, rel=1e-5)
    assert float(sums["loss"][0] / sums["loss"][1]) == pytest.approx(expected, rel=1e-5)


def test_dropout_acts_in_training_only_and_follows_its_key():
    model, task = make_model("rnn", hidden_dim=64, dropout=0.5)
    params, batch = model.init(jax.random.key(0)), draw_batch(task, "train", 5, 1)
    run = quick_jit(model.loss, static_argnames="train")
    loss = lambda seed, train: float(run(params, batch, key=jax.random.key(seed), train=train)[0])  # noqa: E731
    assert loss(1, True) == loss(1, True)
    assert loss(1, True) != loss(2, True)
    assert loss(1, False) == loss(2, False) == pytest.approx(float(model.loss(params, batch)[0]), rel=1e-6)


def test_bfloat16_keeps_parameters_and_losses_in_float32():
    model, task = make_model("lstm", dtype="bfloat16")
    params, batch = model.init(jax.random.key(0)), draw_batch(task, "train", 5, 1)
    (loss, (carry, _)), gradient = quick_jit(jax.value_and_grad(model.loss, has_aux=True))(params, batch)
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
    batch = draw_batch(task, "train", 3, 1)
    sums = quick_jit(lambda p: model.loss(p, batch)[1][1])(model.init(jax.random.key(0)))
    for layer in ("layer_0", "layer_1"):
        total, count = sums[f"{layer}/newton_iterations"]
        assert 1 <= float(total) <= 50
        assert float(count) == 1
        assert float(sums[f"{layer}/newton_fell_back"][0]) == 0


def test_a_model_needs_a_layer():
    task = TASKS["adding"](4)
    with pytest.raises(ValueError, match="num_layers"):
        build_model([], task.input_spec, task.head, task.loss)
