"""The compiled loops at every instruction set that compiles here: each makes the same calls again, see replay.cc."""

import shutil
import subprocess
from pathlib import Path

import jax
import numpy as np
import pytest
from conftest import slow
from test_compiled import SHAPES, built, draw, draw_flags, loss_of

from rnngen.cells.credit import decay, with_credit
from rnngen.engines.cpu import build, ffi
from rnngen.engines.cpu.generator import loops_of

REPLAY = Path(__file__).parent / "replay.cc"
CAN = build.processor().split()
# The processor's flag that a level needs, its compiler and options, and what runs its programs.
LEVELS = {
    "x86-64-v2": ("sse4_2", ["c++", "-march=x86-64-v2"], []),
    "x86-64-v3": ("avx2", ["c++", "-march=x86-64-v3"], []),
    "x86-64-v4": ("avx512f", ["c++", "-march=x86-64-v4"], []),
    "clang": ("avx2", ["clang++", "-march=x86-64-v3"], []),
    "aarch64": ("", ["aarch64-linux-gnu-g++", "-static"], ["qemu-aarch64"]),
}
CELLS = ["gru", *slow("own", "lstm", "rnn")]


def recorded(monkeypatch, name, shape, path):
    """Write the calls of a layer's gradient, with mask, resets, probes and a decay, and what they gave to a file."""
    cell, params, xs, probes = draw(name, shape, probes=True)
    cell = with_credit(cell, decay(alpha=0.9))
    made, real = [], ffi._call

    def call(layer, called, rows, shapes, *given, **attributes):
        made.append((rows, given, results := real(layer, called, rows, shapes, *given, **attributes)))
        return results

    gradient = jax.grad(loss_of(cell, **draw_flags(xs)), (0, 1, 2))
    jax.eval_shape(gradient, params, xs, probes)  # so that no timing is among the calls
    monkeypatch.setattr(ffi, "_call", call)
    gradient(params, xs, probes)
    monkeypatch.undo()
    assert len(made) == 2
    with path.open("wb") as file:
        for rows, *both in made:
            file.write(np.array([ffi.count_shares(rows), 2], np.int64).tobytes())
            for arrays in both:
                file.write(np.int64(len(arrays)).tobytes())
                for array in map(np.asarray, arrays):
                    file.write(np.array([array.ndim, *array.shape], np.int64).tobytes())
                    file.write(array.astype(np.float32).tobytes())


def text_of(name):
    """The generated struct of a cell."""
    cell, params, _, _ = draw(name, SHAPES["ones"])
    params = cell.prepare(params)
    return loops_of(cell, params, params["kernel"].shape[-1]).library.text


@built
@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", CELLS)
def test_a_layer_has_the_numbers_that_it_has_here(monkeypatch, tmp_path, name, level):
    flag, (compiler, *options), emulator = LEVELS[level]
    missing = [tool for tool in (compiler, *emulator[:1]) if shutil.which(tool) is None]
    if missing or (flag and flag not in CAN):
        pytest.skip(f"without {', '.join(missing) or flag}")
    program, struct = tmp_path / "replay", tmp_path / "cell.h"
    struct.write_text(text_of(name))
    command = [compiler, *options, "-O2", "-std=c++17", "-pthread", *build.options(struct), str(REPLAY)]
    subprocess.run([*command, "-o", str(program)], check=True)
    for shape in ("axes", "wide", "shares"):
        recorded(monkeypatch, name, SHAPES[shape], tmp_path / shape)
        done = subprocess.run([*emulator, str(program), str(tmp_path / shape), "2e-5"], capture_output=True, text=True)
        assert done.returncode == 0, (shape, done.stdout)
