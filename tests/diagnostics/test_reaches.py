"""Use and the verdict where they are known: networks made by hand, of which each lacks what it should."""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import draw_batch, make_model
from linear_cells import linear

import rnngen
from rnngen.cells.credit import decay, window, with_credit
from rnngen.diagnostics import DIAGNOSES, judge, three_reaches, use, use_record
from rnngen.diagnostics.reaches import ALL, NO_CREDIT, NO_MEMORY, NO_USE
from rnngen.heads import gaussian
from rnngen.models import build_model
from rnngen.tasks import Task, adding, latch
from rnngen.tasks.needs import Needs
from rnngen.types import Batch

STEPS, EXAMPLES, LAG = 24, 200, 12


def recall():
    """Squared error of the input `LAG` steps before the last."""
    like = adding(STEPS)
    needs = lambda batch: Needs(*(jnp.full((1, EXAMPLES), step) for step in (STEPS - 1 - LAG, STEPS - 1)))  # noqa: E731
    return Task(like.data, like.objective, needs=needs)


def noise():
    xs = jax.random.normal(jax.random.key(0), (STEPS, EXAMPLES, 1))
    targets = jnp.broadcast_to(xs[STEPS - 1 - LAG], (STEPS, EXAMPLES, 1))
    return Batch(xs, targets, jnp.zeros((STEPS, EXAMPLES)).at[-1].set(1.0))


def with_head(cell, readout):
    """A model that does not do quite what it should: a loss of exactly zero has no gradient."""
    model = build_model([cell], 1, gaussian(1))
    head = {"kernel": 0.8 * jnp.asarray(readout, jnp.float32)[:, None], "bias": jnp.zeros(1)}
    return model, model.init(jax.random.key(0)) | {"head": head}


def unit(place, size):
    return np.eye(size)[place]


def delay_line(size=LAG + 1):
    return linear(np.eye(size, k=1), np.eye(1, size))


def beside(other, size=LAG + 1):
    """A delay line with a unit that keeps what it has, and gets `other` of the input."""
    recurrent, kernel = np.eye(size + 1, k=1), np.zeros((1, size + 1))
    recurrent[size - 1, size], recurrent[size, size] = 0, 1
    kernel[0, 0], kernel[0, size] = 1, other
    return linear(recurrent, kernel)


def rotation(size=16):
    """A permutation of units on a ring: orthogonal, and the input of `LAG` steps ago stands at one place of it."""
    return linear(np.roll(np.eye(size), 1, axis=1), np.eye(1, size))


def networks():
    """(name, (model, parameters), the verdict)."""
    line, last = delay_line(), unit(LAG, LAG + 1)
    leak = linear(np.full((1, 1), 0.5), np.ones((1, 1)))
    return [
        ("delay line", with_head(line, last), ALL),
        ("orthogonal ring", with_head(rotation(), unit(LAG, 16)), ALL),
        ("delay line, credit of one step", with_head(with_credit(line, window(1)), last), NO_CREDIT),
        ("delay line, credit that halves", with_head(with_credit(line, decay(alpha=0.5)), last), NO_CREDIT),
        ("line too short", with_head(delay_line(LAG - 2), unit(LAG - 3, LAG - 2)), NO_CREDIT),
        ("closed to its input", with_head(linear(np.eye(1), np.zeros((1, 1))), [1.0]), NO_MEMORY),
        ("leaky, credit made up for", with_head(with_credit(leak, decay(alpha=2.0)), [1.0]), NO_MEMORY),
        ("stores and ignores", with_head(beside(0.0), unit(LAG + 1, LAG + 2)), NO_USE),
    ]


@pytest.mark.slow
def test_what_is_stored_and_ignored_has_no_use():
    network, verdict = networks()[-1][1:]
    found = three_reaches(*network, noise(), recall())
    assert found.verdict == verdict == NO_USE
    assert (found.lag, found.credit, found.memory, found.use) == (LAG, True, True, False)


@pytest.mark.slow
def test_verdict_of_three_reaches_on_eight_constructed_networks():
    found = {name: three_reaches(*network, noise(), recall()).verdict for name, network, _ in networks()}
    assert found == {name: verdict for name, _, verdict in networks()}


def test_use_of_a_delay_line_is_that_of_one_input():
    """Of 0.8 of an input, the error is 1 + 0.8^2 where another's stands at its place, else 0.2^2."""
    model, params = with_head(delay_line(), unit(LAG, LAG + 1))
    found = jax.device_get(use(model, params, noise(), recall(), lags=(0, LAG, LAG + 1)))
    for losses in (found.carry, found.inputs):
        np.testing.assert_allclose(losses.mean(axis=(1, 2)), [1.64, 1.64, 0.04], atol=0.3)
    record = use_record(found)
    assert record["loss"] == pytest.approx(0.04, abs=0.01)
    assert record["carry"]["rise"][2] == pytest.approx(0, abs=1e-6)


def test_the_past_of_another_sequence_is_its_carry():
    """Replacing all inputs up to a step is the same as going on from the other's carry there."""
    task = adding(9, min_length=6, eval_size=20)
    model, _ = make_model("gru", task)
    params, batch = model.init(jax.random.key(0)), draw_batch(task, "valid", 5, 0)
    found = use(model, params, batch, task, lags=(3,), draws=1)
    _, _, carries = rnngen.unroll(
        model.cell, params, batch.inputs, mask=batch.mask, record=lambda params, carry, inputs, after: after
    )
    for example in range(5):
        last = int(batch.mask[:, example].sum()) - 1
        carry = jax.tree.map(lambda c, s=last - 3, e=(example + 1) % 5: c[s, e], carries)
        for x in batch.inputs[last - 2 : last + 1, example]:
            carry, outputs = model.step(params, carry, x)
        error = float((outputs[0] - batch.targets[last, example, 0]) ** 2)
        assert float(found.carry[0, 0, example]) == pytest.approx(error, rel=1e-4)


def test_what_makes_no_sense_is_refused():
    task = latch(8, eval_size=20)
    model, _ = make_model("rnn", task)
    params, batch = model.init(jax.random.key(0)), draw_batch(task, "valid", 1, 0)
    with pytest.raises(ValueError, match="use compares examples and needs at least 2, got 1"):
        use(model, params, batch, task)
    flow = {"curves": {"all": {"median": [0.0, -3.0]}}}
    memory = {"lags": [0, 1, 2], "r2": [1.0, 0.9, 0.8], "floor": [0.0, 0.1, 0.1]}
    used = {"lags": [0, 1, 2], "carry": {"rise": [1.0, 0.5, 0.0], "error": [0.1, 0.1, 0.1], "change": [1.0, 0.5, 0.2]}}
    assert [judge(flow, memory, used, lag).verdict for lag in (1, 2)] == [ALL, NO_CREDIT]
    with pytest.raises(ValueError, match="lag: the task does not say which lag it needs, so give one"):
        judge(flow, memory, used)
    with pytest.raises(ValueError, match="lag must lie within 0 to 2, the lags that were measured, got 5"):
        judge(flow, memory, used, 5)
    with pytest.raises(ValueError, match="draws must be a positive whole number, got 0"):
        DIAGNOSES["use"](draws=0)


@pytest.mark.slow
def test_a_run_has_the_figure_and_refuses_one_example(tmp_path):
    config = rnngen.config.base_config()
    config.cell = rnngen.config.component("rnn", hidden_dim=8)
    config.task = rnngen.config.component("latch", length=12)
    config.train.steps = 4
    config.diagnose.what = ("gradient_flow", "memory", "use", "parameter_gradient_by_lag")
    run = rnngen.train(config, tmp_path / "run")
    figure = rnngen.report.three_reaches(run)
    assert figure.axes[0].get_title().startswith("rnn: ")
    assert figure.axes[0].get_lines()[-1].get_xdata()[0] == 9
    _, given = plt.subplots(3, 1)
    rnngen.report.three_reaches(run, ax=given, lag=2, moment="at initialisation")
    assert given[2].get_xlabel()
    with pytest.raises(ValueError, match="moment must be 'after training' or 'at initialisation', got 'later'"):
        rnngen.report.three_reaches(run, moment="later")
    rnngen.report.write(run)
    assert (tmp_path / "run" / "figures" / "three_reaches.png").exists()
    config.diagnose.examples = 1
    with pytest.raises(ValueError, match="memory: needs examples to be at least 2, got 1"):
        rnngen.train(config, tmp_path / "other")
    assert not (tmp_path / "other").exists()
