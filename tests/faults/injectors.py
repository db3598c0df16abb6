"""Faults for real: cuts, kills, signals, bad bytes, full disks. For any test that wants to know what is lost."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from rnngen.config import base_config, build, component, resolve
from rnngen.runs.train import _start
from rnngen.storage.folder import TABLES, RunFolder
from rnngen.training import checkpoint, fit
from rnngen.training.compiled import start_state

ROOT = Path(__file__).parent.parent.parent
WALL_CLOCK = ("seconds", "steps_per_second", "cost_seconds", "data_wait")


class Cut(BaseException):
    """The end of a process, as the code above the cut sees it."""


def small(cell="rnn", task="latch", steps=8, model=(), optim=(), **train):
    """A resolved config of a moment. cell, task: names, or components."""
    config = base_config()
    config.cell = component(cell, hidden_dim=4) if isinstance(cell, str) else cell
    config.task = component(task, **({"length": 5} if task == "latch" else {})) if isinstance(task, str) else task
    config.model.update(dict(model))
    config.optim.update({"learning_rate": 0.05} | dict(optim))
    every = {"log_every": 2, "eval_every": 2, "save_every": 2}
    config.train.update({"steps": steps, "batch_size": 4, "eval_batch_size": 8} | every | train)
    config.diagnose.update({"every": 4, "examples": 4})
    return resolve(config)


class Cutting(RunFolder):
    """A run folder that counts what is written and cuts within the write number `at`, half of it on disk."""

    def __init__(self, path, at=-1):
        super().__init__(path)
        self.at, self.count = at, 0

    def happens(self):
        """One more write; True where it is to be cut."""
        self.count += 1
        return self.count - 1 == self.at

    def append(self, table, row):
        if self.happens():
            with open(self.path / TABLES[table], "a") as file:
                file.write('{"step": 99, "spl')
            raise Cut
        super().append(table, row)

    def finish(self, result):
        if self.happens():
            (self.path / f".result.json.{os.getpid()}").write_text('{"sta')
            raise Cut
        super().finish(result)


@contextlib.contextmanager
def cut_saves(folder):
    """Have saves of a `Cutting` folder count as writes, and be cut before they are sealed."""
    seal = checkpoint._seal

    def sealing(path):
        if folder.happens():
            raise Cut
        seal(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "_seal", sealing)
        yield


def trained(path, config, at=-1):
    """A config fitted in a folder, cut at a write; returns how many writes there were."""
    folder, experiment = Cutting(path, at), build(config)
    folder.path.mkdir(parents=True, exist_ok=True)
    with cut_saves(folder):
        if at >= 0:
            with pytest.raises(Cut):
                _fitted(folder, config, experiment)
        else:
            _fitted(folder, config, experiment)
    return folder.count


def _fitted(folder, config, experiment):
    _start(folder, config, experiment)
    folder.count = 0
    fit(experiment, folder)


def timeless(rows):
    """Rows without their wall-clock fields."""
    return [{k: v for k, v in row.items() if k not in WALL_CLOCK} for row in rows]


def numbers(path):
    """All that a run left which has nothing to do with clocks, as values that compare by their bits."""
    run = RunFolder(path)
    config, result = run.config(), run.result()
    step = checkpoint.newest(run.checkpoints)[0]
    state = checkpoint.load(run.checkpoints, step, start_state(build(resolve(config)))) if step is not None else None
    leaves = [_bits(leaf) for leaf in jax.tree.leaves(state)]
    timed = ("train_seconds", "compile_seconds", "save_seconds")
    told = {k: v for k, v in (result or {}).items() if k not in timed}
    if told:
        told["metrics"] = dict(zip(told["metrics"], timeless(told["metrics"].values()), strict=True))
    return repr([step, leaves, timeless(run.rows("metrics")), timeless(run.rows("diagnoses")), told])


def _bits(leaf):
    key = jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if key else leaf).tobytes().hex()


def litter(path):
    """Files and folders in a run's or sweep's folder that a newcomer would have to ask about."""
    odd = ("saving_", "deleting_", ".")
    found = [p for p in Path(path).rglob("*") if p.name.startswith(odd) or p.name == "lock.json" or "tmp" in p.name]
    return [str(p) for p in found]


def command(*arguments):
    """A `rnngen` command as a list."""
    return [sys.executable, "-m", "rnngen", *map(str, arguments)]


def start(*arguments, **environment):
    """A `rnngen` command in a process of its own, its first words kept."""
    return subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env=os.environ | {"JAX_NUM_CPU_DEVICES": "1"} | CACHE | environment,
    )  # fmt: skip


# Each life of a process would compile the same again.
CACHE = {
    "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".pytest_cache" / "compiled"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
}


def ended(process, status=0, timeout=120):
    """Wait for a process to end with a status; returns what it said on stderr."""
    _, errors = process.communicate(timeout=timeout)
    assert process.returncode == status, errors
    assert "Traceback" not in errors, errors
    return errors


def kill(process, number=signal.SIGKILL):
    """Send a signal."""
    process.send_signal(number)
    if number == signal.SIGKILL:
        process.communicate()


def until(condition, process=None, seconds=120.0, every=0.002):
    """Wait until something is so, while a process lives."""
    end = time.monotonic() + seconds
    while not condition():
        assert process is None or process.poll() is None, process.stderr.read()
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(every)


def flip(file, bit):
    """Flip one bit of a file."""
    raw = bytearray(file.read_bytes())
    raw[bit // 8] ^= 1 << bit % 8
    file.write_bytes(raw)


def truncate(file):
    """Cut a file in half."""
    os.truncate(file, file.stat().st_size // 2)


@contextlib.contextmanager
def small_disk(folder, size="1m"):
    """A file system of its own, which only root can have for the asking; elsewhere the test is passed over."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs to mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder):
    """Leave no byte of a file system; returns the file to delete."""
    filler = folder / "filler"
    with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler
