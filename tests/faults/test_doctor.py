"""`rnngen doctor`: each fault that a folder can have is told of, and what the next start would do."""

import json
import os

import pytest
from injectors import flip, small, trained

from rnngen.cli import main as cli
from rnngen.storage import locks
from rnngen.storage.folder import RunFolder


def told(capsys, *arguments):
    """(exit status, the lines that tell of something bad, all of it)."""
    status = cli.main(["doctor", *map(str, arguments)])
    out = capsys.readouterr().out
    return status, [line for line in out.splitlines() if line.startswith("BAD")], out


@pytest.mark.slow
def test_the_installation(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("RNNGEN_DATA", raising=False)
    status, bad, out = told(capsys)
    assert (status, bad) == (0, [])
    assert "jax 0." in out
    assert "GB free" in out
    for name in ("gru", "lstm", "rnn", "linear"):
        assert f"compiled loops {name}" in out
    monkeypatch.setenv("RNNGEN_DATA", str(tmp_path / "gone"))
    tmp_path.chmod(0o777)
    status, bad, _ = told(capsys)
    assert status == 1
    assert [line.split()[1] for line in bad] == ["compiled", "RNNGEN_DATA:"]


@pytest.mark.slow
def test_a_run_from_good_to_bad(capsys, tmp_path):
    config = small()
    writes = trained(tmp_path, config)
    assert told(capsys, tmp_path)[:2] == (0, [])
    assert "finished, nothing is left to do" in told(capsys, tmp_path)[2]
    run = RunFolder(tmp_path)
    run.forget()
    assert "goes on from step 8" in told(capsys, tmp_path)[2]
    flip(next((run.checkpoints / "step_000000008").rglob("_METADATA")), 9)
    (run.checkpoints / "saving_10").mkdir()
    (tmp_path / "lock.json").write_text(json.dumps(locks._me() | {"process": 1 << 30}))
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write("{]\n")
    status, bad, out = told(capsys, tmp_path)
    assert status == 1
    assert "goes on from step 6" in out
    for number, word in enumerate(["is gone", "metrics.jsonl, line", "_METADATA has changed", "saving_10: left by"]):
        assert word in bad[number]
    assert writes > 10


def test_a_run_that_is_trained_now(capsys, tmp_path):
    trained(tmp_path, small(steps=2))
    with locks.hold(tmp_path):
        status, bad, out = told(capsys, tmp_path)
    assert (status, bad) == (0, [])
    assert f"in use by process {os.getpid()}" in out


def test_a_sweep_names_only_the_trials_that_have_something(capsys, tmp_path):
    (tmp_path / "sweep.json").write_text(
        json.dumps({"config": small().to_dict(), "trials": [{"id": i, "overrides": {}, "labels": {}} for i in "abc"]})
    )
    for name in "ab":
        trained(tmp_path / "trials" / name, small(steps=2))
    next((tmp_path / "trials" / "b").rglob("SHA256SUMS")).unlink()
    (tmp_path / "slurm").mkdir()
    (tmp_path / "slurm").chmod(0o777)
    status, bad, out = told(capsys, tmp_path)
    assert status == 1
    assert "a sweep of 3 trials, 2 of them begun" in out
    assert len(bad) == 2
    assert "slurm can be written by others" in bad[0]
    assert "trials/b/checkpoints/step_000000002: SHA256SUMS is missing" in bad[1]


@pytest.mark.parametrize("arguments", [["a", "b"], ["--fix"], ["/nowhere"]])
def test_what_it_refuses(capsys, arguments):
    assert cli.main(["doctor", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1
