"""Models whose layers read both ways: two unrolls side by side, and what such a model refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_close, draw_batch, make_model, noise
from my_lab import leaky

from rnngen.cells import CELLS
from rnngen.cli.main import main
from rnngen.datasets import TASKS
from rnngen.diagnostics.horizon import flow_record, lag_norms
from rnngen.engines import unroll
from rnngen.models import build_model, count_params, stepwise
from rnngen.storage.jsonl import read_json

T, B = 6, 3


@pytest.mark.slow
def test_a_layer_is_two_unrolls_side_by_side():
    """With holes and borders, in two layers: the second sees both directions of the first."""
    model, _ = make_model(layers=2, bidirectional=True)
    cell, params = CELLS["gru"](6), model.init(jax.random.key(0))
    xs, options = noise((T, B, 2), 1), {"mask": jnp.ones((T, B), bool).at[4:, 0].set(False)}
    options["resets"] = jnp.zeros((T, B), bool).at[3, 1].set(True)
    ys = xs
    for name in ("layer_0", "layer_1"):
        run = lambda way, ys=ys, p=params[name]: unroll(cell, p[way], ys, reverse=way == "backward", **options)[1]  # noqa: E731
        ys = jnp.concatenate([run("forward"), run("backward")], axis=-1)
    outputs = ys @ params["head"]["kernel"] + params["head"]["bias"]
    assert_close(jax.jit(lambda p: model.apply(p, xs, **options)[1])(params), outputs, 1e-5)
    assert params["layer_1"]["backward"]["kernel"].shape == (12, 18)
    assert not np.allclose(params["layer_0"]["forward"]["kernel"], params["layer_0"]["backward"]["kernel"])


def test_the_first_output_knows_the_last_input():
    model, _ = make_model(bidirectional=True)
    params, xs = model.init(jax.random.key(0)), noise((T, B, 2), 1)
    first = lambda xs: jnp.sum(model.apply(params, xs)[1][0])  # noqa: E731
    assert bool((jnp.abs(jax.jit(jax.grad(first))(xs)[-1]) > 0).all())


@pytest.mark.slow
def test_each_direction_leaves_out_other_weights_and_draws_its_own_noise():
    model, _ = make_model(bidirectional=True, recurrent_dropout=0.5, dropout=0.2)
    params, batch = model.init(jax.random.key(0)), draw_batch(TASKS["adding"](T, eval_size=20), size=B)
    losses = [model.loss(params, batch, key=jax.random.key(n), train=True)[0] for n in (1, 2)]
    assert losses[0] != losses[1]
    assert count_params(model) == 2 * (3 * 6 * (2 + 6 + 1) + 6) + 2 * 6 + 1


def leaky_both_ways(task):
    return build_model([leaky(5)], task.data.input_spec, task.objective.head, task.objective.loss, bidirectional=True)


@pytest.mark.slow
def test_the_gradient_reaches_back_by_one_direction_and_ahead_by_the_other():
    """A leaky unit passes 0.9 of its gradient on, whichever way it reads."""
    task = TASKS["adding"](T, eval_size=20)
    model = leaky_both_ways(task)
    batch = draw_batch(task, size=B)
    # A loss at every step, so that a source may stand in the middle.
    batch = batch._replace(weights=jnp.ones_like(batch.weights), targets=jnp.ones_like(batch.targets))
    norms = jax.jit(lambda p: lag_norms(model, p, batch, task, 2))(model.init(jax.random.key(0)))
    assert sorted(norms) == ["all", "layer_0/backward/h", "layer_0/forward/h"]
    middle, lags = 2, np.arange(T)[:, None]  # the first source
    for name, reach in (("layer_0/forward/h", middle), ("layer_0/backward/h", T - 1 - middle)):
        norm = np.asarray(norms[name][0])
        expected = np.where(lags <= reach, norm[0] + lags * np.log(0.9), np.nan)
        np.testing.assert_allclose(norm, expected, rtol=1e-4)
    both = 0.5 * jnp.logaddexp(2 * norms["layer_0/forward/h"][0, 1], 2 * norms["layer_0/backward/h"][0, 1])
    np.testing.assert_allclose(norms["all"][0, 1], both, rtol=1e-5)
    record = flow_record(jax.tree.map(lambda norm: np.asarray(norm)[1:], norms))  # from the last step
    assert record["half_life"]["layer_0/forward/h"]["steps"] == pytest.approx(np.log(2) / -np.log(0.9), rel=1e-3)


@pytest.mark.slow
def test_a_run_is_trained_and_measured(tmp_path):
    folder = tmp_path / "run"
    options = ["--config=configs/adding.py", f"--workdir={folder}", "--config.task.kwargs.length=20"]
    options += ["--config.model.bidirectional", "--config.train.steps=100", "--config.cell.kwargs.hidden_dim=4"]
    assert main(["train", *options]) == 0
    result = read_json(folder / "result.json")
    assert result["status"] == "finished"
    assert result["half_life"]["final"] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--config=configs/adding.py", "--config.diagnose.what=('carry_norms',)"], "carry_norms: goes step by step"),
        (
            ["--config=configs/adding.py", "--config.optim.regularizer.name=omega"],
            "which a model that reads both ways does not allow",
        ),
        (
            ["--config=configs/adding.py", "--config.optim.regularizer.name=flossing"],
            "both ways cannot go step by step",
        ),
    ],
)
def test_what_goes_step_by_step_is_refused(tmp_path, capsys, options, message):
    assert main(["train", *options, f"--workdir={tmp_path / 'run'}", "--config.model.bidirectional"]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_task_that_predicts_its_next_input_is_refused():
    task = TASKS["adding"](T)
    spec = task.data.input_spec._replace(feed=lambda value: value)
    with pytest.raises(ValueError, match="bidirectional is not for a task that predicts its next input"):
        build_model([CELLS["gru"](4)], spec, task.objective.head, task.objective.loss, bidirectional=True)


def test_such_a_model_has_no_step():
    forward, both = (make_model(bidirectional=way)[0] for way in (False, True))
    assert stepwise(forward) is forward
    with pytest.raises(ValueError, match="reads both ways cannot go step by step"):
        stepwise(both)
