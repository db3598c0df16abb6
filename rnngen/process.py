"""What a process should have before JAX starts: an allocator that keeps its memory, and devices made of cores.

Call `prepare` first thing in a program of one's own; `rnngen train` and the workers of a sweep do.
"""

import ctypes
import os

import jax

# The numbers of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8


def prepare(devices: int | None = None) -> None:
    """Keep freed memory, and make `devices` CPU devices out of the cores (default: one a core).

    XLA runs a scan of small steps on one core, so a batch is shared between devices instead. The number that
    JAX_NUM_CPU_DEVICES or XLA_FLAGS ask for stands, and so do the devices of a JAX that has started.
    """
    keep_memory()
    flags = os.environ.get("XLA_FLAGS", "")
    if jax.config.values["jax_num_cpu_devices"] < 1 and "host_platform_device_count" not in flags:
        try:
            jax.config.update("jax_num_cpu_devices", devices or count_cores())
        except RuntimeError:  # JAX has started
            return


def keep_memory() -> bool:
    """Have glibc's malloc keep what is freed; returns whether there is one that does.

    By default it maps every array above 32 MB anew and gives it back when freed, and so for the arenas of
    all threads but the first; the kernel then clears and faults in the same pages at each training step.
    The price is a process that stays as large as its largest moment. The same from outside a process:
    MALLOC_ARENA_MAX=1 MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=2147483647.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    settings = ((_M_ARENA_MAX, 1), (_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1))
    return mallopt is not None and [mallopt(*setting) for setting in settings] == [1, 1, 1]


def cores() -> list[int]:
    """The cores that this process may use, by number; empty where the system does not tell."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def count_cores() -> int:
    """How many cores this process may use."""
    return len(cores()) or os.cpu_count() or 1
