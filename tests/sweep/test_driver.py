"""A sweep in real processes: results as single runs give them, failures contained, nothing trained twice."""

import os

import pytest

from rnngen import report
from rnngen.config import base_config, complete, component
from rnngen.configcheck import ConfigError
from rnngen.records import RunFolder, load
from rnngen.run import run
from rnngen.sweep import axis, chain, product
from rnngen.sweep.driver import claim, pending, plan, run_trials, share_cores, status_of


def small_config():
    config = base_config()
    config.cell = component("rnn", hidden_dim=4)
    config.task = component("my_lab:short_latch", length=5)
    config.train.update(steps=4, batch_size=4, log_every=2, eval_every=2)
    config.diagnose.examples = 4
    return complete(config)


def run_all(folder, trials, workers=2, retry_failed=False):
    claim(folder, small_config(), trials)
    todo, events = pending(folder, trials, retry_failed), []
    run_trials(folder, todo, workers, lambda status, trial: events.append((status, trial.id)))
    return events


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """Workers find my_lab as a user's workers find the user's module."""
    monkeypatch.syspath_prepend(os.path.dirname(os.path.dirname(__file__)))


def test_a_sweep_with_failures(tmp_path):
    bad = [axis("cell", [component(f"my_lab:{name}", hidden_dim=3)]) for name in ("exploding", "deadly")]
    trials = plan(small_config(), chain(product(axis("cell.name", ["rnn", "gru"]), axis("seed", [0, 1])), *bad))
    events = run_all(tmp_path, trials)

    statuses = [status_of(tmp_path, trial) for trial in trials]
    assert statuses == ["finished"] * 4 + ["failed"] * 2
    assert sorted(events) == sorted(
        [("start", t.id) for t in trials] + list(zip(statuses, [t.id for t in trials], strict=True))
    )
    reasons = load(tmp_path, "results")["reason"].tolist()[-2:]
    assert reasons == ["RuntimeError: this cell cannot step", "its process died: killed by SIGKILL"]

    # A trial is the run that one gets alone, to the bit.
    alone = run(trials[0].config, tmp_path / "alone")
    there = RunFolder(tmp_path / "trials" / trials[0].id).result()
    assert there["metrics"]["test"] == alone["metrics"]["test"]
    assert there["metrics"]["train"]["loss"] == alone["metrics"]["train"]["loss"]

    # Run again, there is nothing to do, and only failures if asked.
    assert run_all(tmp_path, trials) == []
    assert {t.id for t in pending(tmp_path, trials, retry_failed=True)} == {t.id for t in trials[-2:]}

    table = report.summary(tmp_path)
    assert table["cell"].tolist() == ["rnn", "gru", "my_lab:exploding", "my_lab:deadly"]
    assert table["trials"].tolist() == [2, 2, 1, 1]
    assert table["failed"].tolist() == [0, 0, 1, 1]
    assert len(report.failures(tmp_path)) == 2
    written = [path.name for path in report.write(tmp_path)]
    assert {"table.csv", "gradient_norms.png", "learning_curves.svg"} <= set(written)


def test_another_config_in_the_folder_is_refused(tmp_path):
    trials = plan(small_config(), axis("seed", [0]))
    claim(tmp_path, small_config(), trials)
    claim(tmp_path, small_config(), trials)
    other = small_config() | {"seed": 5}
    with pytest.raises(ConfigError, match="holds a different sweep: seed is 0 there, 5 here"):
        claim(tmp_path, other, plan(other, axis("cell.name", ["gru"])))
    with pytest.raises(ConfigError, match="1 trials there, 2 here"):
        claim(tmp_path, small_config(), plan(small_config(), axis("seed", [0, 1])))
    RunFolder(tmp_path / "single").start({})
    with pytest.raises(ConfigError, match="holds a single run"):
        claim(tmp_path / "single", small_config(), trials)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (axis("cell.nam", ["gru"]), "trial 1 of 1: config.cell.nam: no such key; did you mean 'name'?"),
        (axis("cell.name", ["rnn", "gruu"]), "trial 2 of 2: config.cell.name: unknown cell 'gruu'"),
        (axis("cell.kwargs.hidden_dim", [3, 0]), "trial 2 of 2: config.cell.kwargs: hidden_dim must be"),
        (axis("seed", [1, 1]), "trial 2 of 2: the same config as an earlier one"),
        ([], "the sweep has no trials"),
        ("seeds", "must return a list of overrides"),
    ],
)
def test_plans_that_cannot_be(space, message):
    with pytest.raises(ConfigError) as caught:
        plan(small_config(), space)
    assert message in str(caught.value)


def test_cores_are_dealt_out():
    cores = sorted(os.sched_getaffinity(0))
    dealt = share_cores(len(cores))
    assert sorted(c for mine, _ in dealt for c in mine) == cores
    assert all(devices == len(mine) for mine, devices in dealt)
    assert share_cores(len(cores) + 1) == [(cores, 1)] * (len(cores) + 1)
