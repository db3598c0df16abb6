"""What a process is given before JAX starts, seen from inside real processes."""

import os
import subprocess
import sys

import pytest

from rnngen.runtime import cache_folder, cores, count_cores, gpus, program_folder, trim

DEVICES = "import jax; from rnngen import runtime; runtime.prepare({}); print(jax.device_count())"
# A program whose result is larger than what glibc maps anew. A call whose predecessor's result is freed late
# finds no room among the kept pages and asks for new ones, so the least of ten calls tells.
FAULTS = """
import resource, jax, jax.numpy as jnp
from rnngen import runtime
{}
grow = jax.jit(lambda x: jnp.sin(x) + jnp.zeros((10_000_000,)))
faults = []
for n in range(10):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    jax.block_until_ready(grow(1.0 * n))
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(min(faults))
"""


def run(code, **environment):
    ours = ("JAX_NUM_CPU_DEVICES", "XLA_FLAGS", "JAX_COMPILATION_CACHE_DIR")
    clean = {k: v for k, v in os.environ.items() if k not in ours}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=clean | environment, check=True
    )
    return int(done.stdout)


@pytest.mark.slow
def test_one_device_a_core_unless_asked_otherwise():
    assert run(DEVICES.format("")) == count_cores()
    assert run(DEVICES.format("3")) == 3
    assert run(DEVICES.format("3"), JAX_NUM_CPU_DEVICES="1") == 1
    assert run(DEVICES.format("3"), XLA_FLAGS="--xla_force_host_platform_device_count=2") == 2


def test_a_jax_that_has_started_keeps_its_devices():
    assert run("import jax; jax.devices()\n" + DEVICES.format("3"), JAX_NUM_CPU_DEVICES="2") == 2


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="tells glibc's malloc")
def test_memory_is_kept_so_that_pages_are_not_faulted_in_again():
    without, kept = run(FAULTS.format("")), run(FAULTS.format("runtime.keep_memory()"))
    assert kept < 500 < 9000 < without  # 40 MB are 9,766 pages


def test_cores_are_those_of_the_process():
    assert cores() == sorted(os.sched_getaffinity(0))
    assert count_cores() == len(cores())


def test_compiled_programs_are_kept_where_only_their_owner_writes(tmp_path, monkeypatch):
    monkeypatch.delenv("RNNGEN_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = program_folder()
    assert folder.is_relative_to(tmp_path)
    assert program_folder() == folder
    for place in (folder, folder.parent):
        place.chmod(0o722)
        assert program_folder() is None
        place.chmod(0o700)
    monkeypatch.setattr("os.getuid", lambda: 12345)
    assert program_folder() is None
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert program_folder() is None


def test_programs_are_not_kept_in_a_cache_that_is_shared(tmp_path, monkeypatch):
    shared, own = tmp_path / "shared", tmp_path / "own"
    monkeypatch.setenv("XDG_CACHE_HOME", str(own))
    monkeypatch.setenv("RNNGEN_CACHE", str(shared))
    assert program_folder().is_relative_to(shared)
    shared.chmod(0o777)
    assert program_folder().is_relative_to(own)
    assert cache_folder() == shared  # for data, that have checksums


def test_what_was_not_used_for_longest_goes_first(tmp_path):
    for age, name in enumerate("dcba"):
        (tmp_path / name).write_bytes(bytes(100))
        os.utime(tmp_path / name, (1000 + age, 1000 + age))
    trim(tmp_path, 250)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    trim(tmp_path, 250)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_gpus_are_counted_without_starting_jax(tmp_path, monkeypatch):
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho 'GPU 0: some'\necho '  MIG 1g'\necho 'GPU 1: other'\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpus() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-8f, 3")
    assert gpus() == ["GPU-8f", "3"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus() == []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert gpus() == []
    monkeypatch.delenv("JAX_PLATFORMS")
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert gpus() == []


def test_a_worker_has_what_it_is_given(tmp_path):
    code = (
        "import os, jax; from rnngen import runtime; runtime.prepare_worker(runtime.cores()[-1:], 2, '7');"
        "assert runtime.cores() == {}; assert os.environ['CUDA_VISIBLE_DEVICES'] == '7';"
        "assert jax.config.jax_compilation_cache_dir.startswith({!r}); print(jax.local_device_count())"
    )
    assert run(code.format(cores()[-1:], str(tmp_path)), XDG_CACHE_HOME=str(tmp_path), JAX_PLATFORMS="cpu") == 2
