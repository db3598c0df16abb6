"""Promises 10 and 12: the same seed in two processes, on one thread or two, and checkpoints between versions."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from injectors import CACHE, ROOT, ended, numbers, start

from rnngen.storage.folder import RunFolder

# A model whose products are large enough for XLA to share them between threads.
LARGE = [
    "train",
    "--config=configs/adding.py",
    "--config.cell={'name': 'lstm', 'kwargs': {'hidden_dim': 256}}",
    "--config.task.kwargs.length=20",
    "--config.task.kwargs.eval_size=100",
    "--config.train.batch_size=64",
    "--config.train.log_every=5",
    "--config.train.eval_every=10",
    "--config.train.eval_batch_size=100",
    "--config.train.save_every=10",
    "--config.diagnose.every=0",
]


def trained(folder, steps=20, cores="", python=sys.executable, **environment):
    """Train on some cores with a Python, and return stderr."""
    pinned = ["taskset", "-c", cores] if cores else []
    command = [*pinned, python, "-m", "rnngen", *LARGE, f"--config.train.steps={steps}", f"--workdir={folder}"]
    # The other version of JAX ends a process that asks for flags which it does not have.
    clean = {"JAX_NUM_CPU_DEVICES": "1", "XLA_FLAGS": ""} | environment
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ | clean
    )
    return ended(process, 0, 200)


def digest(folder):
    return hashlib.sha256(numbers(folder).encode()).hexdigest()


@pytest.mark.slow
def test_one_core_or_two(tmp_path, faults):
    """XLA shares large products out over its threads, OpenBLAS the factorisations of initialisers, and other shares are
    other sums; both can be told how many threads they have."""
    mine = sorted(os.sched_getaffinity(0))
    if len(mine) < 2:
        pytest.skip("needs two cores")
    cores = [str(mine[0]), f"{mine[0]},{mine[1]}"] * faults.count(1, 4)
    for number, pinned in enumerate(cores):
        trained(tmp_path / str(number), cores=pinned, NPROC="1", OPENBLAS_NUM_THREADS="1", **CACHE)
    found = [digest(tmp_path / str(number)) for number in range(len(cores))]
    faults.tell("the same seed, one thread, on one core or two", len(found), [f for f in found if f != found[0]])


def other_python():
    """The Python of the other environment that scripts/test makes, for the other end of the supported versions."""
    here = Path(sys.prefix).resolve()
    found = [ROOT / name / "bin" / "python" for name in (".venv", ".venv-newest")]
    there = [python for python in found if python.exists() and python.parent.parent.resolve() != here]
    return str(there[0]) if there else ""


@pytest.mark.parametrize("ours_first", [True, False], ids=["ours then the other's", "the other's then ours"])
def test_a_checkpoint_of_another_version(tmp_path, faults, ours_first):
    other = other_python()
    if not other:
        pytest.skip("needs the other environment, .venv or .venv-newest")
    first, second = (sys.executable, other) if ours_first else (other, sys.executable)
    trained(tmp_path, 20, python=first)
    run = RunFolder(tmp_path)
    before = run.rows("metrics")
    run.forget()
    config = run.config()
    config["train"]["steps"] = 30
    (tmp_path / "config.json").unlink()
    said = trained(tmp_path, 30, python=second)
    assert all("building the compiled loops" in line for line in said.splitlines()), said
    rows, (one, two) = run.rows("metrics"), run.rows("provenance")
    assert one["versions"]["jax"] != two["versions"]["jax"]
    assert rows[: len(before) - 1] == before[:-1]
    assert run.result()["step"] == 30
    lost = [row["step"] for row in rows if not np.isfinite(row["loss"])]
    alone = tmp_path / "alone"
    ended(start(*LARGE, "--config.train.steps=30", f"--workdir={alone}"))
    expected = RunFolder(alone).result()["metrics"]["test"]["loss"]
    lost += [] if np.isclose(run.result()["metrics"]["test"]["loss"], expected, rtol=1e-3) else ["another loss"]
    faults.tell("a checkpoint written by another version", 1, lost)
