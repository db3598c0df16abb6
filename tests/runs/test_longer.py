"""More steps for a run that is over: it goes on from its last checkpoint to what a longer run from the start gives."""

import jax
import numpy as np
import pytest

import rnngen
from rnngen.config import base_config, component, resolve, same_rates
from rnngen.config.check import ConfigError
from rnngen.storage.folder import RunFolder


def config(**train):
    """A run of a moment, judged by its best parameters, that logs, evaluates and saves every two steps."""
    made = base_config()
    made.cell, made.task = component("rnn", hidden_dim=3), component("my_lab:short_latch", length=5)
    made.diagnose.update(what=(), examples=4)
    made.train.update({"batch_size": 4, "log_every": 2, "eval_every": 2, "save_every": 2, "select": "best"} | train)
    return made


def untimed(rows):
    return [{name: value for name, value in row.items() if "second" not in name} for row in rows]


def rows_but(run, *left_out):
    """The rows of the metrics, without times and those of (step, split)."""
    return [row for row in untimed(run.rows("metrics")) if (row["step"], row["split"]) not in left_out]


def params_of(run):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(run.restore()[1])]


def assert_same(longer, whole, *extra):
    """The longer run has what the whole one has, to the bit; `extra` are rows of where it had ended before."""
    assert rows_but(longer, *extra) == rows_but(whole)
    results = [untimed(run.result["metrics"].values()) for run in (longer, whole)]
    assert results[0] == results[1]
    assert longer.result["chosen_step"] == whole.result["chosen_step"]
    for ours, theirs in zip(params_of(longer), params_of(whole), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def files_of(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Eight steps from the start."""
    return rnngen.train(config(steps=8), tmp_path_factory.mktemp("runs") / "whole", progress=False)


def test_more_steps_give_a_longer_run_to_the_bit_and_the_same_call_again_nothing(tmp_path, whole, capsys):
    first = rnngen.train(config(steps=4), tmp_path, progress=False).result
    longer = rnngen.train(config(steps=8), tmp_path, progress=False)
    assert f"rnngen: {tmp_path}: goes on from 4 to 8 steps\n" in capsys.readouterr().err
    assert_same(longer, whole, (4, "test"))
    steps = [(row["step"], row["split"]) for row in longer.rows("metrics")]
    assert len(steps) == len(set(steps))
    # What was known of the shorter run is not lost, and its provenance says what became of it.
    assert longer.rows("provenance")[-1]["longer"] == {"steps": 4, "result": first}
    assert longer.config["train"]["steps"] == 8

    before = files_of(tmp_path)
    assert rnngen.train(config(steps=8), tmp_path, progress=False).result == longer.result
    with pytest.raises(ConfigError, match=r"train\.steps is 8 there, 4 here: a run goes on to more, not to fewer"):
        rnngen.train(config(steps=4), tmp_path)
    with pytest.raises(ConfigError, match="holds a run of a different config"):
        rnngen.train(config(steps=10, batch_size=5), tmp_path)
    assert files_of(tmp_path) == before


@pytest.mark.slow
@pytest.mark.parametrize("cut", ["result", "provenance"])
def test_a_start_to_more_steps_that_was_cut_short_goes_on(tmp_path, whole, cut):
    rnngen.train(config(steps=4), tmp_path, progress=False)
    folder = RunFolder(tmp_path)
    folder.forget()
    if cut == "provenance":
        folder.append("provenance", {"longer": {"steps": 4, "result": None}})
    assert_same(rnngen.train(config(steps=8), tmp_path, progress=False), whole, (4, "test"))


@pytest.mark.slow
def test_a_last_step_between_two_rows(tmp_path, whole):
    """The rows after it are at the steps that they would have had."""
    rnngen.train(config(steps=5, select="last"), tmp_path / "longer", progress=False)
    longer = rnngen.train(config(steps=8, select="last"), tmp_path / "longer", progress=False)
    steps = [row["step"] for row in longer.rows("metrics") if row["split"] == "train"]
    assert steps == [2, 4, 5, 6, 8]
    last = rnngen.train(config(steps=8, select="last"), tmp_path / "whole", progress=False)
    for ours, theirs in zip(params_of(longer), params_of(last), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_an_interval_that_follows_from_the_steps_stays_as_the_run_began(tmp_path, capsys):
    for steps in (20, 40, 40, 60):
        run = rnngen.train(config(steps=steps, eval_every=-1), tmp_path, progress=False)
        assert run.config["train"]["eval_every"] == 2
    said = capsys.readouterr().err
    assert "goes on from 20 to 40 steps, evaluated every 2 as it began\n" in said
    assert "goes on from 40 to 60 steps, evaluated every 2 as it began\n" in said
    assert [row["step"] for row in run.rows("metrics") if row["split"] == "valid"] == list(range(0, 61, 2))
    with pytest.raises(ConfigError, match="eval_every is 2 there, 5 here"):
        rnngen.train(config(steps=80, eval_every=5), tmp_path)


def test_a_run_that_reached_its_goal_stays_over(tmp_path):
    goal = {"stop_metric": "loss", "stop_at": 100.0}
    first = rnngen.train(config(steps=4, **goal), tmp_path, progress=False)
    before = files_of(tmp_path)
    assert rnngen.train(config(steps=8, **goal), tmp_path, progress=False).result == first.result
    assert first.result["reached_at"] == 0
    assert files_of(tmp_path) == before


def finished(folder, made):
    """A folder as a finished run leaves it, but for its checkpoints."""
    resolved = resolve(made)
    RunFolder(folder).start(resolved)
    RunFolder(folder).finish({"status": "finished", "step": resolved.train.steps})
    return files_of(folder)


def with_cosine(steps):
    made = config(steps=steps)
    made.optim.schedule = component("cosine")
    return made


@pytest.mark.parametrize(
    ("place", "make", "message"),
    [
        ("run", with_cosine, r"the rates of optim\.schedule cosine depend on train\.steps, which is 4 there, 8 here"),
        ("run", lambda steps: config(steps=steps), "has no checkpoint from which it could go on from 4 to 8 steps"),
        ("trials/ab", lambda steps: config(steps=steps), "is a trial of .*: train it longer in a folder of its own"),
    ],
)
def test_more_steps_that_are_refused(tmp_path, place, make, message):
    (tmp_path / "sweep.json").write_text("{}")
    before = finished(tmp_path / place, make(4))
    with pytest.raises(ConfigError, match=message):
        rnngen.train(make(8), tmp_path / place)
    assert files_of(tmp_path / place) == before


@pytest.mark.parametrize(
    ("schedule", "same"),
    [
        (component("constant"), True),
        (component("exponential", decay_steps=3), True),
        (component("cosine"), False),
        (component("warmup_cosine", warmup_steps=2), False),
        (component("my_lab:plateau"), True),
        (component("my_lab:plateau", until_the_end=True), False),
    ],
)
def test_rates_are_compared_by_their_values(schedule, same):
    made = config(steps=8)
    made.optim.schedule = schedule
    assert same_rates(resolve(made).optim, 4, 8) is same
