"""A sweep in real processes: results as single runs give them, failures contained, nothing trained twice."""

import json
import os
import subprocess
import sys
from concurrent.futures import Future

import pytest
from my_lab import serve_in_need
from sweeps import config as small_config

from rnngen import report
from rnngen.config import component
from rnngen.config.check import ConfigError
from rnngen.report import tables
from rnngen.runs import load, open_sweep
from rnngen.runs.train import run
from rnngen.storage.folder import RunFolder
from rnngen.sweep import axis, chain, product
from rnngen.sweep.driver import FixedTrials, run_trials
from rnngen.sweep.executors.local import Local, Slot, Worker, share
from rnngen.sweep.job import Job
from rnngen.sweep.packs import group
from rnngen.sweep.plan import claim, pending, plan, status_of


def run_all(folder, trials, size=1, retry_failed=False):
    claim(folder, small_config(), trials)
    todo, events = pending(folder, trials, retry_failed), []
    # Each with as many devices as this process has: rounding differs with their number.
    executor = Local([Slot([], 2)] * 2)
    run_trials(
        folder, FixedTrials(group(todo, size)), executor, lambda status, trial: events.append((status, trial.id))
    )
    return events


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """Workers find my_lab as a user's workers find the user's module."""
    monkeypatch.syspath_prepend(os.path.dirname(os.path.dirname(__file__)))


@pytest.mark.slow
def test_a_sweep_that_was_planned_before_an_argument_came_is_gone_on_with(tmp_path):
    base, space = small_config(steps=4), axis("seed", [0, 1])
    trials = plan(base, space)
    assert claim(tmp_path, base, trials) == trials
    # As it was written then: without an argument that has a default now, and so under other ids.
    sweep = json.loads((tmp_path / "sweep.json").read_text())
    for number, trial in enumerate(sweep["trials"]):
        trial["id"] = f"old{number}"
    (tmp_path / "sweep.json").write_text(json.dumps(sweep))
    known = claim(tmp_path, base, trials)
    assert [trial.id for trial in known] == ["old0", "old1"]
    assert [trial.config for trial in known] == [trial.config for trial in trials]
    old = known[0].config.to_dict()
    del old["cell"]["kwargs"]["activation"]
    RunFolder(tmp_path / "trials" / "old0").start(old)
    assert run(known[0].config, tmp_path / "trials" / "old0")["status"] == "finished"


def test_a_sweep_with_failures(tmp_path):
    bad = [axis("cell", [component(f"my_lab:{name}", hidden_dim=3)]) for name in ("exploding", "deadly")]
    trials = plan(small_config(), chain(product(axis("cell.name", ["rnn", "gru"]), axis("seed", [0, 1])), *bad))
    events = run_all(tmp_path, trials)

    statuses = [status_of(tmp_path, trial) for trial in trials]
    assert statuses == ["finished"] * 4 + ["failed"] * 2
    assert sorted(events) == sorted(zip(statuses, [t.id for t in trials], strict=True))
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

    table = report.summary(open_sweep(tmp_path))
    assert table["cell"].tolist() == ["rnn", "gru", "my_lab:exploding", "my_lab:deadly"]
    assert table["trials"].tolist() == [2, 2, 1, 1]
    assert table["failed"].tolist() == [0, 0, 1, 1]
    assert len(tables.failures(open_sweep(tmp_path))) == 2
    written = [path.name for path in report.write(open_sweep(tmp_path))]
    assert {"table.csv", "gradient_norms.png", "learning_curves.svg"} <= set(written)


def test_another_config_in_the_folder_is_refused(tmp_path):
    trials = plan(small_config(), axis("seed", [0]))
    claim(tmp_path, small_config(), trials)
    claim(tmp_path, small_config(), trials)
    other = small_config() | {"seed": 5}
    with pytest.raises(ConfigError, match="holds a different sweep: seed is 0 there, 5 here"):
        claim(tmp_path, other, plan(other, axis("cell.name", ["gru"])))
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


def test_cores_and_gpus_are_dealt_out():
    assert share(0, [2, 3, 5], []) == [Slot([2], 1), Slot([3], 1), Slot([5], 1)]
    assert share(2, [2, 3, 5], []) == [Slot([2, 5], 2), Slot([3], 1)]
    assert share(3, [0, 1], []) == [Slot([0, 1], 1)] * 3
    assert share(0, [0, 1, 2, 3], ["0", "1"]) == [Slot([0, 2], 2, "0"), Slot([1, 3], 2, "1")]
    assert [slot.gpu for slot in share(3, [0, 1, 2], ["7"])] == ["7"] * 3


@pytest.mark.slow
def test_a_pack_in_a_worker_and_one_that_kills_it(tmp_path):
    """What was packed with a trial that kills its process is trained again, without it."""
    deadly = component("my_lab:deadly", hidden_dim=3)
    trials = plan(small_config(), chain(axis("seed", [0, 1, 2]), axis("cell", [deadly])))
    assert [len(pack) for pack in group(trials, 8)] == [3, 1]
    claim(tmp_path, small_config(), trials)
    events = []
    executor = Local(share(1, [], []))
    run_trials(tmp_path, FixedTrials([trials]), executor, lambda status, trial: events.append((status, trial.id)))
    assert [status_of(tmp_path, trial) for trial in trials] == ["finished"] * 3 + ["failed"]
    assert len(events) == 4


def test_packs_are_even_and_of_one_structure():
    cells = axis("cell.name", ["rnn", "gru"])
    space = product(axis("optim.learning_rate", [0.1, 0.2, 0.3, 0.4, 0.5]), cells)
    packs = group(plan(small_config(), chain(space, product(cells, axis("optim.clip_norm", [0.0])))), 3)
    assert [(len(pack), {t.config.cell.name for t in pack}) for pack in packs] == [
        (2, {"rnn"}), (2, {"gru"}), (3, {"rnn"}), (3, {"gru"}), (1, {"rnn"}), (1, {"gru"})
    ]  # fmt: skip


def test_a_worker_prefers_what_it_has_compiled():
    executor = Local([])
    futures = [Future() for _ in "abab"]
    executor._jobs = [(Job(key, (), ()), future) for key, future in zip("abab", futures, strict=True)]
    taken = [executor._take(number)[0].key for number in (0, 1, 0, 1)]
    assert taken == ["a", "b", "a", "b"]
    executor.shutdown()


def test_a_worker_that_cannot_start_stops_the_sweep_and_fails_no_trial(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "many")
    with pytest.raises(ConfigError, match=r"launch.executor: a worker cannot start: exit status 1"):
        run_all(tmp_path, trials := plan(small_config(), axis("seed", [0, 1])))
    assert [status_of(tmp_path, trial) for trial in trials] == ["unfinished"] * 2


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_finished_trials_stay(tmp_path):
    """A file system of a megabyte, which only root can have for the asking."""
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs to mount a file system")
    try:
        trials = plan(small_config(), axis("seed", range(8)))
        with pytest.raises(ConfigError, match="No space left on device"):
            run_all(small / "sweep", trials)
        done = [trial for trial in trials if status_of(small / "sweep", trial) == "finished"]
        assert 0 < len(done) < 8
        assert all(len(RunFolder(small / "sweep" / "trials" / t.id).rows("metrics")) == 6 for t in done)
        # No trial is to blame, and with more space the same call goes on.
        assert "failed" not in [status_of(small / "sweep", trial) for trial in trials]
        subprocess.run(["mount", "-o", "remount,size=4m", str(small)], check=True)
        run_all(small / "sweep", trials)
        assert {status_of(small / "sweep", trial) for trial in trials} == {"finished"}
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


@pytest.mark.slow
def test_a_worker_that_has_grown_is_replaced(tmp_path, monkeypatch):
    trials = plan(small_config(), axis("seed", range(3)))
    claim(tmp_path, small_config(), trials)
    begun, start = [], Worker._start
    monkeypatch.setattr(sys.modules[Worker.__module__], "_serve", serve_in_need)
    monkeypatch.setattr(Worker, "_start", lambda worker: begun.append(start(worker)) or begun[-1])
    run_trials(tmp_path, FixedTrials([[trial] for trial in trials]), Local([Slot([], 1)]), lambda *told: None)
    assert [status_of(tmp_path, trial) for trial in trials] == ["finished"] * 3
    assert [process.exitcode for process, _ in begun] == [0, 0, 0]
