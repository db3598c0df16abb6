"""Promise 5: a full disk, for real, in a save, in a row and in the result: no success claimed, and it can go on."""

import errno

import jax
import jax.numpy as jnp
import pytest
from injectors import ended, fill, litter, numbers, small, small_disk, start, trained

from rnngen.cells import CELLS
from rnngen.config import build as build_experiment
from rnngen.engines import unroll
from rnngen.engines.cpu import build, calibration
from rnngen.engines.fused import ready
from rnngen.runs.train import _start
from rnngen.storage.folder import RunFolder
from rnngen.training import checkpoint, fit

LONG = {"steps": 100, "save_every": 20, "eval_every": 20}


def filled_at(disk, config, full):
    """Train until a row is one at which the disk is filled; returns the error, and the file to delete."""
    folder, fillers = RunFolder(disk / "run"), []
    _start(folder, config, build_experiment(config))

    def on_row(row):
        if not fillers and full(row):
            fillers.append(fill(disk))

    with pytest.raises(OSError, match="No space left on device") as caught:
        fit(build_experiment(config), folder, on_row)
    return caught.value, fillers[0]


MOMENTS = {
    "a save": (LONG, lambda row: row["step"] == 38),
    "a row": (LONG | {"save_every": 0}, lambda row: row["step"] == 20),
    "a result": (LONG, lambda row: row.get("split") == "test"),
}


# Orbax leaves coroutines unfinished when a write fails.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_full_disk(tmp_path, faults, moment):
    settings, full = MOMENTS[moment]
    config, lost = small(**settings), []
    trained(tmp_path / "whole", config)
    with small_disk(tmp_path / "disk") as disk:
        run = RunFolder(disk / "run")
        error, filler = filled_at(disk, config, full)
        lost += [] if error.errno == errno.ENOSPC and str(disk) in str(error) else [str(error)]
        lost += [] if run.result() is None else ["success claimed"]
        good, wrong = checkpoint.newest(run.checkpoints)
        expected = {"a save": 20, "a row": None, "a result": 100}[moment]
        lost += wrong + ([] if good == expected else [f"the newest step is {good}"])
        filler.unlink()
        trained(run.path, config)
        lost += [] if numbers(run.path) == numbers(tmp_path / "whole") else ["other numbers"]
        lost += litter(run.path)
    faults.tell(f"a full disk in {moment}", 1, lost)


@pytest.mark.slow
def test_the_command_says_so_in_one_line(tmp_path):
    """Also a sweep, whose trials are not to blame, and stay unfinished."""
    with small_disk(tmp_path / "disk", "40k") as disk:
        arguments = ["--config.train.log_every=1", "--config.train.steps=3000", "--config.diagnose.what=()"]
        said = ended(start("train", "--config=configs/latch.py", f"--workdir={disk}/run", *arguments), 2)
        (line,) = (line for line in said.splitlines() if "compiled loops" not in line)  # which may be built first
        assert "No space left on device" in line


@pytest.mark.slow
def test_a_full_cache_of_compiled_loops_leaves_layers_to_jax(monkeypatch, tmp_path):
    cell = CELLS["rnn"](5)
    params, xs = cell.init(jax.random.key(0), 3), jax.random.normal(jax.random.key(1), (4, 2, 3))
    monkeypatch.setattr(calibration, "FOUND", {})
    with small_disk(tmp_path / "disk") as disk:
        monkeypatch.setenv("XDG_CACHE_HOME", str(disk))
        build.folder()
        fill(disk)
        assert "No space left" in str(ready(cell).why_not)
        ways = [unroll(cell, params, xs, engine=engine)[1] for engine in ("auto", "scan")]
    assert jnp.allclose(*ways, atol=1e-6)
