"""What a process is given before JAX starts, seen from inside real processes."""

import os
import subprocess
import sys

import pytest

from rnngen.process import cores, count_cores

DEVICES = "import jax; from rnngen import process; process.prepare({}); print(jax.device_count())"
# A program whose result is larger than what glibc maps anew. A call whose predecessor's result is freed late
# finds no room among the kept pages and asks for new ones, so the least of ten calls tells.
FAULTS = """
import resource, jax, jax.numpy as jnp
from rnngen import process
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
    clean = {k: v for k, v in os.environ.items() if k not in ("JAX_NUM_CPU_DEVICES", "XLA_FLAGS")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=clean | environment, check=True
    )
    return int(done.stdout)


def test_one_device_a_core_unless_asked_otherwise():
    assert run(DEVICES.format("")) == count_cores()
    assert run(DEVICES.format("3")) == 3
    assert run(DEVICES.format("3"), JAX_NUM_CPU_DEVICES="1") == 1
    assert run(DEVICES.format("3"), XLA_FLAGS="--xla_force_host_platform_device_count=2") == 2


def test_a_jax_that_has_started_keeps_its_devices():
    assert run("import jax; jax.devices()\n" + DEVICES.format("3"), JAX_NUM_CPU_DEVICES="2") == 2


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="tells glibc's malloc")
def test_memory_is_kept_so_that_pages_are_not_faulted_in_again():
    without, kept = run(FAULTS.format("")), run(FAULTS.format("process.keep_memory()"))
    assert kept < 500 < 9000 < without  # 40 MB are 9,766 pages


def test_cores_are_those_of_the_process():
    assert cores() == sorted(os.sched_getaffinity(0))
    assert count_cores() == len(cores())
