"""One run on eight devices, and on two processes of two devices that talk over loopback: one device's numbers."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import FLAGS

from rnngen.storage import locks
from rnngen.storage.folder import Follower, RunFolder

ROOT = Path(__file__).parent.parent.parent
ARGUMENTS = [
    f"--config={ROOT}/configs/adding.py",
    "--config.cell.name=gru",
    "--config.cell.kwargs={'hidden_dim': 6}",
    "--config.task.kwargs.length=8",
    "--config.task.kwargs.eval_size=40",
    "--config.train.log_every=2",
    "--config.train.eval_every=2",
    "--config.train.save_every=2",
    "--config.train.batch_size=8",
    "--config.train.eval_batch_size=40",
    "--config.diagnose.examples=8",
]
TOGETHER = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")


def train(folder, steps, devices, *more, **environment):
    clean = {k: v for k, v in os.environ.items() if k not in TOGETHER} | {"XLA_FLAGS": " ".join(FLAGS)}
    given = clean | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices)} | environment
    command = [sys.executable, "-m", "rnngen", "train", *ARGUMENTS, f"--config.train.steps={steps}", *more]
    return subprocess.Popen(
        [*command, f"--workdir={folder}"], env=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ended(process):
    out, err = process.communicate(timeout=280)
    assert process.returncode == 0, err
    return out


def together(folder, steps):
    """Both processes of one run."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    values = [dict(zip(TOGETHER, (address, "2", str(number)), strict=True)) for number in range(2)]
    return [train(folder, steps, 2, "--distributed", **each) for each in values]


def pair(folder, steps):
    """Both processes' output."""
    return [ended(process) for process in together(folder, steps)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    ended(train(folder, 4, 1))
    return RunFolder(folder)


def assert_same(run, alone):
    found, expected = run.rows("metrics"), alone.rows("metrics")
    assert [(r["step"], r["split"]) for r in found] == [(r["step"], r["split"]) for r in expected]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-5)
    assert [row["step"] for row in run.rows("diagnoses")] == [0, 4]
    assert run.result()["half_life"]["final"] == pytest.approx(alone.result()["half_life"]["final"], rel=1e-3)


@pytest.mark.slow
def test_eight_devices(tmp_path, alone):
    ended(train(tmp_path, 4, 8))
    run = RunFolder(tmp_path)
    assert_same(run, alone)
    assert run.rows("provenance")[0]["device"].endswith("x8")


@pytest.mark.slow
def test_two_processes_write_one_folder(tmp_path, alone):
    first, second = pair(tmp_path, 4)
    assert_same(RunFolder(tmp_path), alone)
    (start,) = RunFolder(tmp_path).rows("provenance")
    assert start["device"].endswith("x4")
    assert "finished at step 4" in first
    assert "finished" not in second
    # Again, there is nothing left to do.
    pair(tmp_path, 4)
    assert len(RunFolder(tmp_path).rows("provenance")) == 1


@pytest.mark.slow
def test_two_processes_go_on_with_what_one_began(tmp_path, alone):
    shutil.copytree(alone.path, tmp_path, dirs_exist_ok=True)
    run = RunFolder(tmp_path)
    # As if it had been stopped after its checkpoint at step 2.
    run.forget()
    for file in sorted(run.checkpoints.glob("step_*"))[1:]:
        file.rename(tmp_path / file.name)
    pair(tmp_path, 4)
    assert_same(run, alone)
    assert len(run.rows("provenance")) == 2


def test_what_is_missing_is_named():
    process = train("unused", 4, 1, "--distributed", JAX_NUM_PROCESSES="2")
    _, err = process.communicate(timeout=280)
    assert process.returncode == 2
    assert err == (
        "rnngen: --distributed: several processes need JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES, JAX_PROCESS_ID,"
        " all three\n"
    )


def test_what_the_first_writes_is_not_swept_away_by_the_others(tmp_path):
    """A write in the midst of it looks like one that was cut."""
    (tmp_path / ".config.json.123").write_text("{")
    Follower(tmp_path).start({})
    assert (tmp_path / ".config.json.123").exists()
    RunFolder(tmp_path).start({})
    assert not (tmp_path / ".config.json.123").exists()


@pytest.mark.slow
def test_where_the_first_is_refused_the_others_end_too(tmp_path):
    with locks.hold(tmp_path):
        first, second = together(tmp_path, 4)
        _, refused = first.communicate(timeout=100)
        second.communicate(timeout=200)
    assert first.returncode == 2
    assert "in use by process" in refused
    assert second.returncode != 0
