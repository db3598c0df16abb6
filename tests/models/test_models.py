"""A model's pure functions agree with one another, and run under jit, vmap over parameters and scan."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import FOUR, assert_close, draw_batch, make_model, noise, unrolled

from rnngen.cells import CELLS, rnn
from rnngen.cells.cell import KERNEL
from rnngen.datasets import TASKS
from rnngen.models import StepModel
from rnngen.models.stack import Dropout, build_model
from rnngen.tasks import adding, copy_memory
from rnngen.types import Batch

KINDS = ("features", "one-hot", "embedded")


# What goes in is the first layer's affair, whatever its cell: each cell with one kind of it, and each kind with a cell.
@pytest.fixture(
    params=[(cell, KINDS[i % len(KINDS)]) for i, cell in enumerate(sorted(FOUR))], ids="-".join, scope="module"
)
def made(request):
    cell_name, kind = request.param
    task = adding(6) if kind == "features" else copy_memory(4)
    model, _ = make_model(cell_name, task, layers=2, embed_dim=3 if kind == "embedded" else 0)
    batch = draw_batch(task, "train", 3, 1)
    return model, model.init(jax.random.key(0)), batch, jax.jit(model.apply)


@pytest.mark.slow
def test_stepping_equals_applying(made):
    model, params, batch, apply = made
    carry, outputs, step = model.init_carry(params, (3,)), [], jax.jit(model.step)
    for x in batch.inputs:
        carry, y = step(params, carry, x)
        outputs.append(y)
    assert_close((carry, jnp.stack(outputs)), apply(params, batch.inputs), 1e-5)


@pytest.mark.slow
def test_the_model_as_a_cell_equals_applying(made):
    model, params, batch, apply = made
    mask = jnp.ones(batch.weights.shape, bool).at[-2:, 0].set(False)
    resets = jnp.zeros(batch.weights.shape, bool).at[2, 1].set(True)
    _, outputs = apply(params, batch.inputs, mask=mask, resets=resets)
    _, as_cell = unrolled(model.cell, params, batch.inputs, mask=mask, resets=resets)
    assert_close(jnp.where(mask[..., None], outputs, 0), as_cell, 1e-5)


@pytest.mark.slow
def test_carry_goes_on_where_it_stopped(made):
    _, params, batch, apply = made
    carry, first = apply(params, batch.inputs[:2])
    carry, second = apply(params, batch.inputs[2:], carry)
    assert_close((carry, jnp.concatenate([first, second])), apply(params, batch.inputs), 1e-5)


@pytest.mark.slow
def test_runs_under_jit_vmap_over_params_and_scan(made):
    model, _, batch, _ = made
    params = jax.vmap(model.init)(jax.random.split(jax.random.key(0), 2))
    loss = lambda params: model.loss(params, batch)[0]  # noqa: E731
    single, run = [], jax.jit(loss)
    for i in range(2):
        single.append(run(jax.tree.map(lambda p, i=i: p[i], params)))
    assert_close(jax.jit(jax.vmap(loss))(params), jnp.stack(single), 1e-5)
    assert_close(jax.jit(lambda params: jax.lax.map(loss, params))(params), jnp.stack(single), 1e-5)


def test_loss_is_the_tasks_loss_of_apply():
    model, task = make_model("lstm")
    params, batch = model.init(jax.random.key(0)), draw_batch(task, "train", 5, 1)
    scalar, (_, sums) = model.loss(params, batch)
    _, outputs = model.apply(params, batch.inputs)
    expected = float(jnp.mean((outputs[-1] - batch.targets[-1]) ** 2))
    assert float(scalar) == pytest.approx(expected, rel=1e-5)
    assert float(sums["loss"][0] / sums["loss"][1]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_dropout_acts_in_training_only_and_follows_its_key():
    model, task = make_model("rnn", hidden_dim=64, dropout=0.5)
    params, batch = model.init(jax.random.key(0)), draw_batch(task, "train", 5, 1)
    run = jax.jit(model.loss, static_argnames="train")
    loss = lambda seed, train: float(run(params, batch, key=jax.random.key(seed), train=train)[0])  # noqa: E731
    assert loss(1, True) == loss(1, True)
    assert loss(1, True) != loss(2, True)
    assert loss(1, False) == loss(2, False) == pytest.approx(float(model.loss(params, batch)[0]), rel=1e-6)


def dropped(part, rate, xs, locked=False, draws=400):
    """What many keys make of xs: `[draws, ...]`."""
    out = Dropout(**{part: rate}, locked=locked)
    drop = {
        "rate": lambda key: out.drop(rate, key, xs),
        "recurrent_rate": lambda key: out.drop_weights(key, {KERNEL: xs})[KERNEL],
    }
    return np.asarray(jax.jit(jax.vmap(drop[part]))(jax.random.split(jax.random.key(0), draws)))


@pytest.mark.parametrize(
    ("part", "locked", "shape"),
    [("rate", False, (5, 3, 4)), ("rate", True, (5, 3, 4)), ("recurrent_rate", False, (6, 8))],
)
def test_dropout_leaves_out_its_share_and_keeps_the_mean(part, locked, shape):
    xs, rate = noise(shape), 0.3
    kept = dropped(part, rate, xs, locked) != 0
    np.testing.assert_allclose(dropped(part, rate, xs, locked), np.where(kept, xs / (1 - rate), 0), rtol=1e-5)
    # A share of n draws is off by more than five of its standard deviations once in two million times.
    draws = len(kept) if locked else kept.size / xs.size
    np.testing.assert_allclose(kept.mean(axis=0), 1 - rate, atol=5 * np.sqrt(rate * (1 - rate) / draws))
    independent = kept.size / (shape[0] if locked else 1)
    assert kept.mean() == pytest.approx(1 - rate, abs=5 * np.sqrt(rate * (1 - rate) / independent))


@pytest.mark.parametrize("locked", [False, True])
def test_locked_dropout_leaves_out_the_same_at_every_step_and_other_things_in_every_example(locked):
    kept = dropped("rate", 0.5, jnp.ones((6, 3, 40)), locked, draws=1)[0] != 0
    assert (kept == kept[:1]).all() == locked
    assert (kept[:, 0] != kept[:, 1]).any()
    assert kept[0].any(axis=1).all()
    assert not kept[0].all(axis=1).any()


def one_number(**options):
    """(a model of one feature and one unit, parameters, training losses on the input 1 by many keys)."""
    task = TASKS["adding"](4)
    spec = task.data.input_spec._replace(dim=1)
    model = build_model([rnn(1)], spec, task.objective.head, task.objective.loss, **options)
    params = jax.tree.map(lambda x: jnp.full_like(x, 0.4), model.init(jax.random.key(0)))
    batch = Batch(jnp.ones((2, 1, 1)), jnp.zeros((2, 1, 1)), jnp.ones((2, 1)))
    run = lambda key: model.loss(params, batch, key=key, train=True)[0]  # noqa: E731
    return np.asarray(jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(1), 200)))


def plain_loss(first=1.0, second=1.0, recurrent=0.4, outputs=(1.0, 1.0)):
    """Of that model, with weights and biases of 0.4: the squared distance from 0, by hand."""
    h = np.tanh(0.4 * first + 0.4)
    after = np.tanh(0.4 * second + recurrent * h + 0.4)
    return np.mean([(0.4 * scale * h + 0.4) ** 2 for scale, h in zip(outputs, (h, after), strict=True)])


def counted(losses, values):
    """How often each of the values came up; all losses are one of them."""
    near = np.isclose(losses[:, None], np.array(values), rtol=1e-5)
    assert (near.sum(axis=1) == 1).all()
    return near.sum(axis=0)


PAIRS = [(0, 0), (0, 2), (2, 0), (2, 2)]  # what is left of two ones at a rate of 1/2


@pytest.mark.parametrize(
    ("options", "values"),
    [
        ({"input_dropout": 0.5}, [plain_loss(*pair) for pair in PAIRS]),
        ({"input_dropout": 0.5, "locked_dropout": True}, [plain_loss(0, 0), plain_loss(2, 2)]),
        ({"recurrent_dropout": 0.5}, [plain_loss(recurrent=0.0), plain_loss(recurrent=0.8)]),
        ({"dropout": 0.5}, [plain_loss(outputs=pair) for pair in PAIRS]),
        ({"dropout": 0.5, "locked_dropout": True}, [plain_loss(outputs=(0, 0)), plain_loss(outputs=(2, 2))]),
    ],
    ids=["input", "input, locked", "recurrent", "output", "output, locked"],
)
def test_what_a_model_leaves_out(options, values):
    """Every loss is one that a mask by hand gives, and each as often as another."""
    counts = counted(one_number(**options), values)
    expected = 200 / len(values)
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected)).all()


@pytest.mark.slow
def test_layers_leave_out_different_things():
    out = {"dropout": 0.5, "recurrent_dropout": 0.5, "input_dropout": 0.5}
    model, task = make_model("rnn", hidden_dim=8, layers=2, **out)
    params, batch = model.init(jax.random.key(0)), draw_batch(task, "train", 5, 1)
    # The same layer twice, so that what they get of a gradient differs by what they leave out alone.
    params |= {"layer_1": params["layer_1"] | {KERNEL: params["layer_0"][KERNEL]}}
    gradient = jax.jit(jax.grad(lambda p: model.loss(p, batch, key=jax.random.key(1), train=True)[0]))(params)
    first, second = (np.asarray(gradient[name][KERNEL]) == 0 for name in ("layer_0", "layer_1"))
    assert 0.2 < first.mean() < 0.8
    assert 0.2 < second.mean() < 0.8
    assert (first != second).any()


@pytest.mark.slow
@pytest.mark.parametrize("part", ["dropout", "input_dropout", "recurrent_dropout"])
def test_nothing_is_left_out_without_training_or_without_a_key(part):
    model, task = make_model("gru", hidden_dim=8, **{part: 0.5})
    plain, _ = make_model("gru", hidden_dim=8)
    params, batch = model.init(jax.random.key(0)), draw_batch(task, "train", 5, 1)
    run = jax.jit(model.loss, static_argnames="train")
    expected = float(jax.jit(plain.loss)(params, batch)[0])
    assert float(run(params, batch, key=jax.random.key(1), train=False)[0]) == expected
    assert float(run(params, batch, train=True)[0]) == expected
    assert float(run(params, batch, key=jax.random.key(1), train=True)[0]) != expected


@pytest.mark.slow
def test_bfloat16_keeps_parameters_and_losses_in_float32():
    model, task = make_model("lstm", dtype="bfloat16")
    params, batch = model.init(jax.random.key(0)), draw_batch(task, "train", 5, 1)
    (loss, (carry, _)), gradient = jax.jit(jax.value_and_grad(model.loss, has_aux=True))(params, batch)
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


@pytest.mark.slow
def test_head_init_is_an_argument():
    model, _ = make_model("rnn", hidden_dim=400, head_init={"name": "normal", "kwargs": {"stddev": 0.01}})
    assert float(jnp.std(model.init(jax.random.key(0))["head"]["kernel"])) == pytest.approx(0.01, rel=0.15)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dropout": 1.0}, "^dropout must be at least 0 and below 1, got 1.0"),
        ({"input_dropout": -0.1}, "^input_dropout must be at least 0 and below 1, got -0.1"),
        ({"recurrent_dropout": 1.5}, "^recurrent_dropout must be at least 0 and below 1, got 1.5"),
        ({"embed_dim": 4}, "embed_dim must be 0, or positive where inputs are tokens"),
        ({"engine": "sca"}, "did you mean 'scan'"),
        ({"engine": {"name": "associative", "kwargs": {}}}, "needs a cell with an Affine structure"),
        ({"head_init": "lecum"}, "did you mean 'lecun'"),
    ],
)
def test_bad_options(options, message):
    task = TASKS["adding"](4)
    with pytest.raises(ValueError, match=message):
        build_model([rnn(3)], task.data.input_spec, task.objective.head, task.objective.loss, **options)


def test_weights_of_a_kernel_that_is_not_there_cannot_be_left_out():
    task = TASKS["adding"](4)
    for cells in ([CELLS["mingru"](3)], [rnn(3), CELLS["mingru"](3)]):
        with pytest.raises(ValueError, match="recurrent_dropout is of a recurrent_kernel, and a cell here has none"):
            build_model(cells, task.data.input_spec, task.objective.head, task.objective.loss, recurrent_dropout=0.1)
        build_model(cells, task.data.input_spec, task.objective.head, task.objective.loss, dropout=0.1)


@pytest.mark.slow
def test_what_an_engine_notes_is_among_the_metrics():
    model, task = make_model("gru", layers=2, engine="newton")
    batch = draw_batch(task, "train", 3, 1)
    sums = jax.jit(lambda p: model.loss(p, batch)[1][1])(model.init(jax.random.key(0)))
    for layer in ("layer_0", "layer_1"):
        total, count = sums[f"{layer}/newton_iterations"]
        assert 1 <= float(total) <= 50
        assert float(count) == 1
        assert float(sums[f"{layer}/newton_fell_back"][0]) == 0


def test_a_model_needs_a_layer():
    task = TASKS["adding"](4)
    with pytest.raises(ValueError, match="num_layers"):
        build_model([], task.data.input_spec, task.objective.head, task.objective.loss)


@pytest.mark.parametrize("options", [{}, {"embed_dim": 2}, {"bidirectional": True}])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.array([[0, 9], [10, -1]]), r"must be tokens from 0 to 9, got 10 at \[1, 0\]"),
        (np.array([[0, 9], [3, -1]]), r"must be tokens from 0 to 9, got -1 at \[1, 1\]"),
        (np.array([[0.0, 1.0]], np.float32), "must be tokens from 0 to 9, got float32"),
    ],
)
def test_tokens_that_are_none_are_refused_by_name(options, bad, message):
    """One-hot and embedding alike would take them for something."""
    model, _ = make_model("gru", copy_memory(2), **options)
    params = jax.eval_shape(model.init, jax.random.key(0))  # never looked at
    batch = Batch(bad, np.zeros(bad.shape, int), np.ones(bad.shape, np.float32))
    calls = {"inputs": [lambda: model.apply(params, bad), lambda: model.loss(params, batch)]}
    if isinstance(model, StepModel):
        calls |= {"x": [lambda: model.step(params, None, bad)], "xs": [lambda: model.cell.project(params, bad)]}
    for name, each in calls.items():
        for call in each:
            with pytest.raises(ValueError, match=f"^{name} {message}"):
                call()


def test_traced_tokens_are_asked_for_their_type_alone():
    model, _ = make_model("gru", copy_memory(2))
    params = jax.eval_shape(model.init, jax.random.key(0))
    shapes = lambda dtype: jax.eval_shape(model.apply, params, jax.ShapeDtypeStruct((3, 2), dtype))  # noqa: E731
    assert shapes(jnp.uint8)[1].shape == (3, 2, 9)
    with pytest.raises(ValueError, match="inputs must be tokens from 0 to 9, got float32"):
        shapes(jnp.float32)
