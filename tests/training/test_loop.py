"""Training: the steps themselves, what is recorded, resuming to the bit, and that nothing compiles late."""

import dataclasses
import itertools
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import FOUR, assert_close, make_experiment, make_model, means, slow

from rnngen.diagnostics import DIAGNOSES
from rnngen.storage.folder import RunFolder
from rnngen.tasks import adding
from rnngen.training import DiagnosticsConfig, TrainConfig, checkpoint, fit, init_state
from rnngen.training import state as train_state
from rnngen.training.state import evaluate, split_batches, train_steps

WALL_CLOCK = ("seconds", "steps_per_second", "cost_seconds")


def fitted(path, experiment, **start):
    folder = RunFolder(path)
    folder.start({}, **start)
    return folder, fit(experiment, folder)


def timeless(rows):
    return [{k: v for k, v in row.items() if k not in WALL_CLOCK} for row in rows]


def final_state(folder, experiment):
    like = init_state(experiment.model, experiment.optimizer, experiment.seed)
    return checkpoint.load(folder.checkpoints, checkpoint.steps(folder.checkpoints)[-1], like)


def same_bits(a, b):
    raw = lambda x: np.asarray(jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x)  # noqa: E731
    return all(np.array_equal(raw(x), raw(y)) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


@pytest.mark.slow
def test_a_step_is_gradient_descent_on_the_tasks_loss():
    """Two steps of plain descent, written out."""
    experiment = make_experiment("rnn", optimizer="sgd")
    model, task = experiment.model, experiment.task
    state = init_state(model, experiment.optimizer, 0)
    params = state.params
    for step in range(2):
        batch = task.data.sample("train", jax.random.fold_in(state.key, 0), jnp.int32(step), 4)
        gradient = jax.grad(lambda p: model.loss(p, batch)[0])(params)  # noqa: B023
        shrink = jnp.minimum(1.0, 1.0 / optax.tree.norm(gradient))
        params = jax.tree.map(lambda p, g: p - 1e-2 * shrink * g, params, gradient)  # noqa: B023
    after, sums = jax.jit(train_steps(model, task, experiment.optimizer, 4, 2))(
        init_state(model, experiment.optimizer, 0)
    )
    assert_close(after.params, params, 1e-5)
    assert int(after.step) == 2
    assert float(sums["grad_norm"][1]) == 2


@pytest.mark.slow
def test_norms_before_and_after_clipping(tmp_path):
    folder, _ = fitted(tmp_path, make_experiment("rnn"))
    for row in folder.rows("metrics"):
        if row["split"] == "train":
            assert 0 < row["clipped_grad_norm"] <= min(1.0, row["grad_norm"]) + 1e-6


@pytest.mark.slow
def test_evaluation_covers_the_split_once():
    """20 examples in batches of 8: the padding of the last batch must not count."""
    experiment = make_experiment("rnn")
    model, task = experiment.model, experiment.task
    params = model.init(jax.random.key(0))
    whole = task.data.sample("valid", jax.random.key(0), jnp.int32(0), 20)
    items, batch_of = split_batches(task, "valid", 8)
    found = means(jax.jit(evaluate(model, None, batch_of))(params, items))
    assert found["loss"] == pytest.approx(float(model.loss(params, whole)[0]), rel=1e-5)


@pytest.mark.slow
def test_a_split_too_large_to_keep_is_made_batch_by_batch(monkeypatch):
    experiment = make_experiment("rnn")
    params = experiment.model.init(jax.random.key(0))

    def found():
        items, batch_of = split_batches(experiment.task, "test", 8)
        return items, means(jax.jit(evaluate(experiment.model, None, batch_of))(params, items))

    kept, expected = found()
    monkeypatch.setattr(train_state, "HELD", 10)
    numbers, again = found()
    assert kept.inputs.shape == (3, 8, 8, 2)
    assert numbers.shape == (3,)
    assert again == pytest.approx(expected, rel=1e-6)


@pytest.mark.slow
def test_learns(tmp_path):
    """A GRU beats the predictor without memory on a short adding problem."""
    experiment = make_experiment(
        "gru", steps=300, task=adding(6, eval_size=100), log_every=100, eval_every=100, batch_size=32
    )
    _, result = fitted(tmp_path, experiment)
    assert result["metrics"]["test"]["loss"] < 0.5 * result["baseline"]


@pytest.mark.slow
def test_full_batch_descent_never_goes_up(tmp_path):
    task = adding(5, train_size=40, eval_size=8)
    experiment = make_experiment("rnn", steps=40, task=task, optimizer="sgd", full_batch=True)
    folder, _ = fitted(tmp_path, experiment)
    losses = [row["loss"] for row in folder.rows("metrics") if row["split"] == "train"]
    assert len(losses) == 20
    assert all(later < earlier for earlier, later in itertools.pairwise(losses))


def test_the_run_folder(tmp_path):
    folder, result = fitted(tmp_path, make_experiment(steps=4, diagnose=("gradient_flow",)), seed=7)
    rows = timeless(folder.rows("metrics"))
    assert [(row["step"], row["split"]) for row in rows] == [
        (0, "valid"), (2, "train"), (2, "valid"), (4, "train"), (4, "valid"), (4, "test")
    ]  # fmt: skip
    assert {"loss", "accuracy"} <= set(rows[-1])
    assert [(row["step"], row["what"]) for row in folder.rows("diagnoses")] == [
        (0, "gradient_flow"),
        (4, "gradient_flow"),
    ]
    curves = folder.rows("diagnoses")[0]["curves"]
    assert len(curves["layer_0/h"]["median"]) == 8
    assert folder.result() == result
    assert result["status"] == "finished"
    assert result["half_life"]["initial"] == folder.rows("diagnoses")[0]["half_life"]["all"]["steps"]
    assert result["parameters"] == sum(x.size for x in jax.tree.leaves(final_state(folder, make_experiment()).params))
    (start,) = folder.rows("provenance")
    assert start["seed"] == 7
    assert {"git_commit", "git_dirty", "command", "versions", "python", "xla_flags"} <= set(start)


@pytest.mark.parametrize("cell_name", ["mingru", *slow(*sorted(set(FOUR) - {"mingru"}))])
def test_resumed_is_uninterrupted_to_the_bit(tmp_path, cell_name):
    experiment = make_experiment(cell_name, steps=8, save_every=2, diagnose=("gradient_flow",))
    whole, _ = fitted(tmp_path / "whole", experiment)
    # A run stopped just after its checkpoint at step 4: later records are there, torn, and must go.
    shutil.copytree(whole.path, tmp_path / "cut")
    cut = RunFolder(tmp_path / "cut")
    (cut.path / "result.json").unlink()
    for step in (6, 8):
        shutil.rmtree(cut.checkpoints / f"step_{step:09d}")
    shutil.copytree(whole.checkpoints / "step_000000008", cut.checkpoints / "step_000000004")
    shutil.rmtree(cut.checkpoints / "step_000000004")
    partial = make_experiment(cell_name, steps=4, save_every=2, diagnose=("gradient_flow",))
    stopped, _ = fitted(tmp_path / "stopped", partial)
    shutil.copytree(stopped.checkpoints / "step_000000004", cut.checkpoints / "step_000000004")
    with open(cut.path / "metrics.jsonl", "a") as file:
        file.write('{"step": 8, "spl')
    fit(experiment, cut)
    assert same_bits(final_state(cut, experiment), final_state(whole, experiment))
    assert timeless(cut.rows("metrics")) == timeless(whole.rows("metrics"))
    assert timeless(cut.rows("diagnoses")) == timeless(whole.rows("diagnoses"))


@pytest.mark.slow
def test_a_run_of_any_number_of_steps(tmp_path):
    """Its last row tells of fewer steps; cut before it, or dispatched one at a time, it is the same to the bit."""
    odd = make_experiment(steps=7, log_every=3, eval_every=3, save_every=3)
    folder, result = fitted(tmp_path / "odd", odd)
    assert [(row["step"], row["split"]) for row in folder.rows("metrics") if row["split"] != "valid"] == [
        (3, "train"), (6, "train"), (7, "train"), (7, "test")
    ]  # fmt: skip
    assert (result["status"], result["step"], checkpoint.steps(folder.checkpoints)[-1]) == ("finished", 7, 7)
    one_by_one, _ = fitted(tmp_path / "one", make_experiment(steps=7, log_every=1, eval_every=0))
    assert same_bits(final_state(folder, odd).params, final_state(one_by_one, odd).params)
    losses = [row["loss"] for row in one_by_one.rows("metrics") if row["split"] == "train"]
    rows = [row["loss"] for row in folder.rows("metrics") if row["split"] == "train"]
    np.testing.assert_allclose(rows, [np.mean(losses[:3]), np.mean(losses[3:6]), losses[6]], rtol=1e-5)

    shutil.copytree(folder.path, tmp_path / "cut")
    cut = RunFolder(tmp_path / "cut")
    cut.forget()
    shutil.rmtree(cut.checkpoints / "step_000000007")
    fit(odd, cut)
    assert same_bits(final_state(cut, odd), final_state(folder, odd))
    assert timeless(cut.rows("metrics")) == timeless(folder.rows("metrics"))


@pytest.mark.parametrize(
    ("settings", "log_every", "lengths"),
    [
        ({"steps": 2000}, 100, [100]),
        ({"steps": 50}, 100, [50]),
        ({"steps": 250}, 100, [100, 50]),
        ({"steps": 100, "log_every": 100}, 100, [100]),
        ({"steps": 1000, "eval_every": 250}, 125, [125]),
        ({"steps": 1000, "eval_every": 150, "save_every": 0}, 75, [75, 25]),
        ({"steps": 5000, "eval_every": 997, "save_every": 0}, 997, [997, 15]),
        ({"steps": 60, "eval_every": 30, "log_every": 20}, 15, [15]),
        ({"steps": 3000, "eval_every": 0, "save_every": 0}, 100, [100]),
    ],
)
def test_rows_are_as_far_apart_as_the_other_intervals_allow(settings, log_every, lengths):
    schedule = TrainConfig(**settings).fitted(0)
    assert (schedule.log_every, schedule.lengths()) == (log_every, lengths)
    schedule.check(adding(5), 0)
    steps = range(0, schedule.steps, schedule.log_every)
    assert sum(schedule.length(step) for step in steps) == schedule.steps


@pytest.mark.slow
def test_another_seed_is_another_run(tmp_path):
    losses = [
        fitted(tmp_path / str(seed), make_experiment(seed=seed))[1]["metrics"]["train"]["loss"] for seed in (0, 0, 1)
    ]
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.slow
def test_a_loss_that_is_not_finite_ends_the_run(tmp_path):
    experiment = make_experiment("rnn", steps=20)
    nan = lambda key: jax.tree.map(lambda p: p * jnp.nan, experiment.model.init(key))  # noqa: E731
    poisoned = dataclasses.replace(experiment.model, init=nan)
    folder, result = fitted(tmp_path, experiment._replace(model=poisoned, diagnose=DiagnosticsConfig(examples=4)))
    assert (result["status"], result["step"], result["solved"]) == ("diverged", 2, False)
    assert np.isnan(folder.result()["metrics"]["test"]["loss"])
    # Gradients that are no numbers are in the record as such.
    assert [row["not_finite"] for row in folder.rows("diagnoses")] == [1.0, 1.0]
    assert set(folder.rows("diagnoses")[0]["curves"]["all"]["median"]) == {np.inf}


def test_checkpoints_keep_the_newest_and_deletion_leaves_no_litter(tmp_path):
    state = init_state(make_experiment().model, make_experiment().optimizer, 0)
    for step in range(4):
        checkpoint.save(tmp_path, state._replace(step=jnp.int32(step)), keep=2)
    assert checkpoint.steps(tmp_path) == [2, 3]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step_000000002", "step_000000003"]
    loaded = checkpoint.load(tmp_path, 3, state)
    assert same_bits(loaded, state._replace(step=jnp.int32(3)))
    assert isinstance(loaded, type(state))


@pytest.mark.slow
def test_nothing_compiles_after_the_first_step_and_evaluation(tmp_path):
    compiled = []
    experiment = make_experiment(steps=8, save_every=4, diagnose=("gradient_flow",))

    def listen(event, duration, **details):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(event)

    folder, at_row = RunFolder(tmp_path), []
    folder.start({})
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        fit(experiment, folder, lambda row: at_row.append((row.get("split"), row["step"], len(compiled))))
    finally:
        jax.monitoring.clear_event_listeners()
    first_evaluation = next(n for n, row in enumerate(at_row) if row[:2] == ("valid", 2))
    assert at_row[first_evaluation][2] > 0
    assert at_row[-1][2] == at_row[first_evaluation][2]
    assert len(compiled) == at_row[-1][2]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps must be positive"),
        ({"steps": 10, "batch_size": 0}, "batch_size must be positive"),
        ({"steps": 10, "save_every": -1}, "save_every must not be negative"),
        ({"steps": 10, "log_every": 5, "save_every": 7}, "save_every must be a multiple"),
        ({"steps": 10, "log_every": 5, "full_batch": True}, "full_batch needs a finite training set"),
        ({"steps": 500, "stop_metric": "acuracy"}, "stop_metric: the task has no 'acuracy'; did you mean 'accuracy'"),
        ({"steps": 500, "stop_metric": "loss", "eval_every": 0}, "set eval_every"),
    ],
)
def test_schedules_that_cannot_be(settings, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**settings).check(adding(5), 0)


def test_a_batch_cannot_exceed_the_training_set():
    with pytest.raises(ValueError, match="batch_size must be at most the 10 training examples, got 32"):
        TrainConfig(steps=100).check(adding(5, train_size=10), 0)


@pytest.mark.parametrize(
    ("diagnose", "message"),
    [
        (
            DiagnosticsConfig(what={"lyapunov_spectrum": DIAGNOSES["lyapunov_spectrum"](exponents=7)}, examples=4),
            "lyapunov_spectrum: .*6",
        ),
        (
            DiagnosticsConfig(what={"jacobian_products": DIAGNOSES["jacobian_products"](lags=(9,))}, examples=4),
            "products: .*8",
        ),
        (DiagnosticsConfig(examples=0), "examples must be positive"),
        (DiagnosticsConfig(every=-1), "every must not be negative"),
        (DiagnosticsConfig(examples=2000), "examples must be at most the 1000 of the valid split, got 2000"),
    ],
)
def test_diagnoses_that_cannot_be(diagnose, message):
    with pytest.raises(ValueError, match=message):
        diagnose.check(*make_model("rnn", adding(8)))


@pytest.mark.slow
@pytest.mark.parametrize(("metric", "goal"), [("loss", 1e9), ("accuracy", 0.0)])
def test_training_ends_at_its_goal_and_is_not_gone_on_with(tmp_path, metric, goal):
    experiment = make_experiment("rnn", steps=8, stop_metric=metric, stop_at=goal)
    _, result = fitted(tmp_path, experiment)
    # The goal is met before the first step, so there is none.
    assert (result["status"], result["step"], result["reached_at"]) == ("finished", 0, 0)


@pytest.mark.slow
def test_a_goal_met_on_the_way_ends_the_run_where_it_was_met(tmp_path):
    losses = [row["loss"] for row in fitted(tmp_path / "whole", make_experiment("gru", steps=8))[0].rows("metrics")
              if row["split"] == "valid"]  # fmt: skip
    assert losses[2] < min(losses[:2])
    goal = (losses[2] + min(losses[:2])) / 2
    experiment = make_experiment("gru", steps=8, stop_metric="loss", stop_at=goal)
    folder, result = fitted(tmp_path / "stopped", experiment)
    assert (result["step"], result["reached_at"], result["status"]) == (4, 4, "finished")
    # Killed after its last checkpoint and before its result, it has nothing more to train.
    (folder.path / "result.json").unlink()
    rows = [row for row in folder.rows("metrics") if row["split"] == "train"]
    again = fit(experiment, folder)
    assert again["step"] == 4
    assert [row for row in folder.rows("metrics") if row["split"] == "train"] == rows
    assert fitted(tmp_path / "cap", make_experiment(steps=4, stop_metric="loss", stop_at=0.0))[1]["reached_at"] is None


@pytest.mark.parametrize(("metric", "reached"), [("loss", 0.5), ("rmse", 0.5), ("bits", 0.5), ("accuracy", 1.5)])
def test_a_goal_is_reached_from_above_by_an_error_and_from_below_by_any_other(metric, reached):
    config = TrainConfig(10, stop_metric=metric, stop_at=1.0)
    assert config.stops({metric: reached})
    assert not config.stops({metric: 2.0 - reached})
