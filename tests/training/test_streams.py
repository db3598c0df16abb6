"""Truncated back-propagation through time: chunks of streams, whose carry goes on and whose gradient stops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_close, make_model, means

from rnngen.datasets.corpus import SPLITS, Corpus
from rnngen.datasets.generative import generative
from rnngen.datasets.text import text_codec
from rnngen.storage.folder import RunFolder
from rnngen.training import (
    DiagnosticsConfig,
    Experiment,
    TrainConfig,
    build_optimizer,
    checkpoint,
    fit,
    fit_pack,
    init_state,
)
from rnngen.training.sharding import loss_and_gradient, mesh_of
from rnngen.training.state import evaluate, split_batches

WALL_CLOCK = ("seconds", "steps_per_second", "data_wait")
SYMBOLS = "\nabcd"


def text_task(chunk, lengths=(96,), on_device=True):
    """Random text in one or several documents."""
    values = np.random.RandomState(0).randint(0, 5, sum(lengths)).astype(np.uint8)
    corpus = Corpus(dict.fromkeys(SPLITS, values), {s: np.array(lengths) for s in SPLITS}, {})
    return generative(
        "text", text_codec, {"vocabulary": SYMBOLS}, corpus, chunk=chunk, baseline=1.0, on_device=on_device
    )


def streams(chunk, batch_size=4, cell="gru", **options):
    task = text_task(chunk, **options)
    model, _ = make_model(cell, task, layers=2)
    params = model.init(jax.random.key(0))
    numbers = range(task.batches("train", batch_size))
    batches = [task.batch("train", jax.random.key(1), jnp.int32(n), batch_size) for n in numbers]
    return task, model, params, batches


def gradient(model, devices=1):
    run = jax.jit(loss_and_gradient(model, mesh_of(devices)))
    return lambda params, batch, carry: run(params, batch, jax.random.key(2), jnp.int32(0), carry)


@pytest.mark.slow
def test_one_chunk_over_all_is_full_back_propagation():
    _, model, params, (batch,) = streams(24)
    full = jax.jit(jax.grad(lambda p: model.loss(p, batch._replace(resets=None))[0]))(params)
    carry = model.init_carry(params, (4,))
    assert_close(gradient(model)(params, batch, carry)[0], full, 1e-6)


@pytest.mark.slow
def test_forward_values_do_not_depend_on_the_length_of_a_chunk():
    losses = []
    for chunk in (24, 8, 3):
        _, model, params, batches = streams(chunk)
        carry, total = model.init_carry(params, (4,)), 0.0
        for batch in batches:
            _, sums, carry = gradient(model)(params, batch, carry)
            total += float(sums["loss"][0])
        losses.append(total)
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-6)


@pytest.mark.slow
def test_the_carry_goes_on_and_no_gradient_goes_back():
    _, model, params, batches = streams(8)
    run = gradient(model)
    _, _, carry = run(params, batches[0], model.init_carry(params, (4,)))
    found, _, _ = run(params, batches[1], carry)
    constant = jax.jit(jax.grad(lambda p: model.loss(p, batches[1], carry)[0]))(params)
    assert_close(found, constant, 1e-6)

    def both(p):
        return model.loss(p, batches[1], model.loss(p, batches[0], model.init_carry(p, (4,)))[1][0])[0]

    whole = jax.jit(jax.grad(both))(params)
    difference = jax.tree.map(lambda a, b: float(np.abs(np.asarray(a) - np.asarray(b)).max()), found, whole)
    assert max(jax.tree.leaves(difference)) > 1e-4


def test_two_devices_keep_half_of_the_streams_each():
    _, model, params, batches = streams(8)
    carry = gradient(model)(params, batches[0], model.init_carry(params, (4,)))[2]
    one, two = (gradient(model, devices)(params, batches[1], carry) for devices in (1, 2))
    assert_close(two[0], one[0], 1e-5)
    assert_close(two[2], one[2], 1e-6)


@pytest.mark.slow
def test_documents_in_a_row_are_scored_as_if_alone():
    lengths = (7, 3, 11, 5)
    _, model, params, _ = streams(4, lengths=lengths)
    task = text_task(4, lengths)
    items, batch_of = split_batches(task, "valid", 2)
    together = means(jax.jit(evaluate(model, mesh_of(1), batch_of, 2))(params, items))["loss"]
    alone = text_task(0, lengths)
    items, batch_of = split_batches(alone, "valid", 3)
    assert means(jax.jit(evaluate(model, mesh_of(1), batch_of))(params, items))["loss"] == pytest.approx(together)


@pytest.mark.slow
@pytest.mark.parametrize("on_device", [True, False])
def test_a_text_has_one_loss_however_many_streams_read_it(on_device):
    """Each stream begins with a carry that what stands before it has warmed; here all of it."""
    _, model, params, _ = streams(4)
    task, losses = text_task(4, on_device=on_device), []
    for count in (1, 2, 7, 96):
        items, batch_of = split_batches(task, "valid", count)
        sums = jax.jit(evaluate(model, mesh_of(1), batch_of, count))(params, items)
        assert float(sums["loss"][1]) == 96
        losses.append(means(sums)["loss"])
    assert losses == pytest.approx([losses[0]] * 4, rel=1e-6)


def experiment(steps=8, on_device=True, lengths=(7, 30, 11, 48), noise=0.2, **schedule):
    task = text_task(4, lengths, on_device)
    model, _ = make_model("lstm", task, dropout=noise, recurrent_dropout=noise, input_dropout=noise)
    settings = {"batch_size": 4, "log_every": 2, "eval_every": 2, "eval_batch_size": 2, "save_every": 2} | schedule
    optimizer = build_optimizer("adam", 1e-2, steps=steps, clip_norm=1.0)
    return Experiment(model, task, optimizer, TrainConfig(steps, **settings), DiagnosticsConfig(what={}), 0)


def fitted(path, made):
    folder = RunFolder(path)
    folder.start({})
    return folder, fit(made, folder)


def final_state(folder, made):
    streams = made.train.batch_size
    like = init_state(made.model, made.optimizer, 0, None, streams, made.train.select == "best")
    return checkpoint.load(folder.checkpoints, checkpoint.steps(folder.checkpoints)[-1], like)


def rows(folder):
    return [{k: v for k, v in row.items() if k not in WALL_CLOCK} for row in folder.rows("metrics")]


def bits(tree):
    plain = lambda x: jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x  # noqa: E731
    return [np.asarray(plain(x)).tobytes() for x in jax.tree.leaves(tree)]


@pytest.mark.slow
@pytest.mark.parametrize("on_device", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_resumed_is_uninterrupted_to_the_bit(tmp_path, on_device):
    """Cut in the middle of an epoch of six chunks: carries and best parameters are in the checkpoint."""
    made = experiment(10, on_device, select="best")
    whole, _ = fitted(tmp_path / "whole", made)
    stopped, _ = fitted(tmp_path / "cut", experiment(4, on_device, select="best"))
    (stopped.path / "result.json").unlink()
    assert fit(made, stopped)["metrics"]["test"] == whole.result()["metrics"]["test"]
    assert bits(final_state(stopped, made)) == bits(final_state(whole, made))
    assert [r for r in rows(stopped) if r["split"] != "test"] == [r for r in rows(whole) if r["split"] != "test"]


@pytest.mark.slow
def test_what_the_host_feeds_is_what_the_device_draws(tmp_path):
    """One document has one order, so that both see the same chunks."""
    found = [rows(fitted(tmp_path / str(on), experiment(6, on, (96,)))[0]) for on in (True, False)]
    assert found[0] == found[1]
    waits = [row["data_wait"] for row in RunFolder(tmp_path / "False").rows("metrics") if row["split"] == "train"]
    assert all(0 <= wait < 1 for wait in waits)


@pytest.mark.slow
def test_packed_trials_each_have_their_own_streams(tmp_path):
    for on_device in (True, False):
        made = experiment(4, on_device, noise=0.0)  # which each device draws for itself
        trials = [made._replace(seed=seed) for seed in (0, 1)]
        alone = [rows(fitted(tmp_path / f"{on_device}{t.seed}", t)[0]) for t in trials]
        folders = [RunFolder(tmp_path / f"pack{on_device}{t.seed}") for t in trials]
        for folder in folders:
            folder.start({})
        fit_pack(trials, folders, [lambda row: None] * 2)
        for mine, together in zip(alone, map(rows, folders), strict=True):
            assert [r["loss"] for r in mine] == pytest.approx([r["loss"] for r in together], rel=1e-4)
        assert alone[0] != alone[1]


@pytest.mark.slow
def test_the_best_parameters_are_those_of_the_best_evaluation(tmp_path):
    made = experiment(12, select="best", noise=0.0)
    # So large a step that training does not go downhill all the way.
    made = made._replace(optimizer=build_optimizer("sgd", 3.0, steps=12))
    folder, result = fitted(tmp_path, made)
    valid = {row["step"]: row["loss"] for row in folder.rows("metrics") if row["split"] == "valid"}
    best = min(valid, key=valid.__getitem__)
    assert best not in (0, 12)
    assert result["chosen_step"] == best
    assert result["metrics"]["valid"]["loss"] == valid[best]
    # Here the test split is the valid one.
    assert result["metrics"]["test"]["loss"] == pytest.approx(valid[best], rel=1e-6)
    shorter, _ = fitted(tmp_path / "short", made._replace(train=made.train._replace(steps=best)))
    assert bits(final_state(folder, made).best) == bits(final_state(shorter, made).params)


@pytest.mark.slow
def test_patience_ends_a_run_that_gets_no_better(tmp_path):
    made = experiment(40, patience=3)
    worse = made._replace(optimizer=build_optimizer("sgd", 30.0, steps=40))
    folder, result = fitted(tmp_path, worse)
    valid = [row["loss"] for row in folder.rows("metrics") if row["split"] == "valid"]
    assert result["status"] == "finished"
    assert result["step"] < 40
    assert min(valid) == min(valid[:-3])
    assert min(valid[:-3]) < min(valid[-3:])
    (folder.path / "result.json").unlink()
    assert fit(worse, folder)["step"] == result["step"]


def test_streams_that_cannot_be():
    with pytest.raises(ValueError, match="full_batch needs whole examples"):
        TrainConfig(4, 4, full_batch=True, log_every=2, eval_every=2, save_every=2).check(text_task(4), 0)
    with pytest.raises(
        ValueError, match=r"^batch_size, on the train split: 50 .* need 200 steps of data, and there are 96"
    ):
        TrainConfig(4, 50, log_every=2, eval_every=2, save_every=2).check(text_task(4), 0)
    for split in ("valid", "test"):
        made = Corpus({s: np.zeros(96, np.uint8) for s in SPLITS}, {s: np.array([96]) for s in SPLITS}, {})
        made.values[split], made.lengths[split] = np.zeros(5, np.uint8), np.array([5])
        task = generative("text", text_codec, {"vocabulary": SYMBOLS}, made, chunk=4, baseline=1.0)
        with pytest.raises(
            ValueError, match=f"^eval_batch_size, on the {split} split: 6 streams are too many for the 5"
        ):
            TrainConfig(4, 4, eval_batch_size=6, log_every=2, eval_every=2, save_every=2).check(task, 0)
        TrainConfig(4, 4, eval_batch_size=5, log_every=2, eval_every=2, save_every=2).check(task, 0)
    model, task = make_model("gru", text_task(4))
    with pytest.raises(ValueError, match=r"^examples, on the valid split: 97 streams are too many for the 96 steps"):
        DiagnosticsConfig(examples=97).check(model, task)
    DiagnosticsConfig(examples=97, what={}).check(model, task)
    DiagnosticsConfig(examples=96).check(model, task)
    with pytest.raises(ValueError, match="select must be last or best, got 'first'"):
        TrainConfig(4, 4, eval_batch_size=2, log_every=2, eval_every=2, save_every=2, select="first").check(
            text_task(4), 0
        )
    with pytest.raises(ValueError, match="patience is looked at when the valid split is evaluated: set eval_every"):
        TrainConfig(4, 4, eval_batch_size=2, log_every=2, eval_every=0, save_every=2, patience=1).check(text_task(4), 0)
