"""What a run does with diagnoses: each fits every task, its record is JSON, and what does not fit is refused."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import draw_batch, make_model

from rnngen.config import base_config, build, component, resolve
from rnngen.diagnostics import DIAGNOSES, half_life, lag_norms, memory_horizon
from rnngen.storage.jsonl import dumps
from rnngen.tasks import adding, copy_memory, parity, temporal_order

ARGUMENTS = {
    "length_generalisation": {"task": "adding", "lengths": (5, 12), "kwargs": {"variant": "anywhere"}, "examples": 40}
}


def measured(name, model, of, params, /, **kwargs):
    diagnosis = DIAGNOSES[name](**kwargs)
    batch = draw_batch(of, "valid", 3, 0)
    found = jax.jit(lambda p: diagnosis.measure(model, p, batch, of))(params)
    return diagnosis.record(jax.device_get(found))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(DIAGNOSES))
def test_records_are_json_for_stacked_cells_with_padding(name):
    task = adding(8, min_length=5, eval_size=20)
    model, _ = make_model("lstm", task, layers=2)
    record = measured(name, model, task, model.init(jax.random.key(0)), **ARGUMENTS.get(name, {}))
    assert json.loads(dumps(record))
    if name == "gradient_flow":  # whose half-lives may be infinite
        record = record["curves"]
    if name == "gate_statistics":  # which has nothing to count where no example reaches
        record = [of["mean"] for of in record["gates"].values()]
    assert all(np.isfinite(np.asarray(leaf, float)).all() for leaf in jax.tree.leaves(record))


@pytest.mark.slow
@pytest.mark.parametrize("task", [temporal_order(10, eval_size=20), copy_memory(3, eval_size=20)])
def test_tokens_and_losses_at_every_step(task):
    model, _ = make_model("gru", task)
    for name in set(DIAGNOSES) - set(ARGUMENTS):
        assert measured(name, model, task, model.init(jax.random.key(0)))


@pytest.mark.slow
def test_other_lengths_are_evaluated_on_their_own_test_set():
    task = adding(8, eval_size=20)
    model, _ = make_model("rnn", task)
    params = model.init(jax.random.key(0))
    record = measured("length_generalisation", model, task, params, **ARGUMENTS["length_generalisation"])
    assert record["lengths"] == [5, 12]
    for length, loss in zip((5, 12), record["metrics"]["loss"], strict=True):
        other = adding(length, variant="anywhere", eval_size=40)
        batch = draw_batch(other, "test", 40, 0)
        outputs = model.apply(params, batch.inputs)[1]
        assert loss == pytest.approx(float(other.objective.loss(outputs, batch)[0]), rel=1e-5)


def far(task, **arguments):
    """A config that measures the task that it trains at other lengths."""
    config = base_config()
    config.cell, config.task = component("rnn", hidden_dim=4), task
    config.diagnose.what = (component("length_generalisation", examples=20, **arguments),)
    return resolve(config)


def test_other_lengths_are_of_the_task_that_is_trained():
    experiment = build(far(component("parity", length=6, label="each"), lengths=(4, 11)))
    diagnosis, model = experiment.diagnose.what["length_generalisation"], experiment.model
    params = model.init(jax.random.key(0))
    found = jax.jit(lambda p: diagnosis.measure(model, p, None, experiment.task))(params)
    record = diagnosis.record(jax.device_get(found))
    assert (record["lengths"], record["trained"]) == ([4, 11], 6)
    longer = parity(6, label="each", eval_length=11, eval_size=20)
    batch = draw_batch(longer, "test", 20, 0)
    loss = longer.objective.loss(model.apply(params, batch.inputs)[1], batch)[0]
    assert record["metrics"]["loss"][1] == pytest.approx(float(loss), rel=1e-5)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (component("digits"), "length_generalisation: the task has no argument length to change"),
        (component("associative_recall"), "eval_length must be at least 17, got 5 with 8 pairs"),
    ],
)
def test_a_task_without_such_lengths_is_refused_before_training(task, message):
    with pytest.raises(ValueError, match=f"config.diagnose.*{message}"):
        build(far(task, lengths=(5, 20)))
    with pytest.raises(ValueError, match="the one that is trained was not made by a config"):
        DIAGNOSES["length_generalisation"](lengths=(5,)).fits(parity(6))


def test_layers_have_their_own_gates():
    task = adding(8, eval_size=20)
    model, _ = make_model("lstm", task, layers=2)
    gates = measured("gate_statistics", model, task, model.init(jax.random.key(0)))["gates"]
    assert set(gates) == {f"layer_{i}/{gate}" for i in (0, 1) for gate in "ifo"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DIAGNOSES["gradient_flow"](sources=0), "sources must be a positive whole number"),
        (lambda: DIAGNOSES["gate_statistics"](margin=0.7), "margin must lie between 0 and 0.5"),
        (lambda: DIAGNOSES["length_generalisation"](task="ading", lengths=(5,)), "unknown task 'ading'"),
        (lambda: DIAGNOSES["length_generalisation"](lengths=()), "lengths must be at least one length, got none"),
        (lambda: DIAGNOSES["length_generalisation"](lengths=(5, 0)), "lengths must be a positive whole number, got 0"),
    ],
)
def test_arguments_that_make_no_sense(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.slow
def test_memory_horizon_is_the_half_life_of_the_gradient_of_the_tasks_loss():
    task = adding(12, eval_size=20)
    model, _ = make_model("gru", task)
    params = model.init(jax.random.key(0))
    batch = draw_batch(task, "valid", 8, 0)
    found = memory_horizon(model, params, batch, task, first_lag=2, last_lag=9)
    assert found == half_life(np.asarray(lag_norms(model, params, batch, task)["all"])[0], 2, 9)
    assert found.low <= found.steps <= found.high
    with pytest.raises(ValueError, match="lags must lie within 0 to 11"):
        memory_horizon(model, params, batch, task, last_lag=12)
    with pytest.raises(ValueError, match="the loss is nan on this batch"):
        memory_horizon(model, jax.tree.map(lambda p: p * jnp.nan, params), batch, task)
