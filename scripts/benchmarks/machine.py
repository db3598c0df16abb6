"""Facts of the machine of a measurement, without which a time means nothing."""

import os
import platform
import time
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import jax

from rnngen import runtime
from rnngen.engines.cpu import build
from rnngen.storage.provenance import provenance

COMPARED = ("torch", "dm-haiku", "equinox")


def facts(keeps_memory: bool) -> dict[str, Any]:
    """Return date (UTC), machine, system, versions, git commit, JAX's devices, and the allocator's state.

    `ram_bytes` is None where the system does not tell, a version is None where a package is not installed.

    Args:
      keeps_memory: the allocator keeps freed memory.
    """
    known = provenance()
    versions = known["versions"] | {name: _version(name) for name in COMPARED}
    return known | {
        "versions": versions,
        "cpu": cpu_model(),
        "vectors": vector_level(),
        "cores": runtime.count_cores(),
        "ram_bytes": _ram(),
        "devices": [str(device) for device in jax.devices()],
        "keeps_memory": keeps_memory,
        "malloc_environment": {name: value for name, value in os.environ.items() if name.startswith("MALLOC_")},
    }


def cpu_model() -> str:
    """Return the processor's name as the system has it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


# Of a processor by what it can do, and of the loops by what they are compiled for; the widest first.
LEVELS = {"AVX-512": ("avx512f", "x86-64-v4"), "AVX2": ("avx2", "x86-64-v3"), "SSE4": ("sse4_2", "x86-64-v2")}


def vector_level() -> str | None:
    """Return the vectors that the loops are compiled for: RNNGEN_MARCH or the processor's widest; None: not known."""
    march, can = build.march(), build.processor().split()
    for level, (flag, name) in LEVELS.items():
        if march == name or (march == "native" and flag in can):
            return level
    return "NEON" if platform.machine() in ("aarch64", "arm64") else None


class Used(NamedTuple):
    """Seconds so far: of the clock, of this process's cores by anyone (None: not known), of any core by itself and its
    children."""

    clock: float
    cores: float | None
    itself: float


def used() -> Used:
    """Return the seconds used so far."""
    own = os.times()
    return Used(time.perf_counter(), _busy(), own.user + own.system + own.children_user + own.children_system)


def used_by_others(before: Used, after: Used) -> float | None:
    """Return the number of this process's cores that were busy with other work between the two; None: not known.

    Threads that wait for each other are delayed by far more than this share.
    """
    if before.cores is None or after.cores is None:
        return None
    spent = (after.cores - before.cores) - (after.itself - before.itself)
    return max(0.0, spent / (after.clock - before.clock))


def _busy() -> float | None:
    """Return the busy seconds of this process's cores, other guests of the host included."""
    try:
        lines = Path("/proc/stat").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    fields = {line.split()[0]: [int(x) for x in line.split()[1:9]] for line in lines if line.startswith("cpu")}
    counted = [fields[f"cpu{core}"] for core in runtime.cores() if f"cpu{core}" in fields]
    # user, nice, system, idle, iowait, irq, softirq, steal
    return sum(sum(core) - core[3] - core[4] for core in counted) / os.sysconf("SC_CLK_TCK")


def _ram() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
