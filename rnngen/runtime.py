"""Preparation of a process before JAX starts: its allocator, its cores and CPU devices, its GPU, its caches.

Call `prepare` first in your own program; `rnngen train` does, and workers of a sweep call `prepare_worker`.
"""

import contextlib
import ctypes
import os
import platform
import signal
import stat
import subprocess
import sys
from pathlib import Path

import jax
import platformdirs

from rnngen.storage.caches import cache_folder

# The numbers of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8
CACHE_BYTES = 2**30


def prepare(devices: int | None = None) -> None:
    """Keep freed memory, and make CPU devices of the cores.

    XLA runs a scan of small steps on one core, so a batch is divided between devices instead. JAX_NUM_CPU_DEVICES and
    XLA_FLAGS take precedence, and nothing changes once JAX has started.

    Args:
      devices: number of CPU devices; None: one a core.
    """
    keep_memory()
    flags = os.environ.get("XLA_FLAGS", "")
    if jax.config.values["jax_num_cpu_devices"] < 1 and "host_platform_device_count" not in flags:
        try:
            jax.config.update("jax_num_cpu_devices", devices or count_cores())
        except RuntimeError:  # JAX has started
            return


def start(training: bool = False) -> None:
    """Do `prepare`, and start JAX.

    Args:
      training: JIT is needed.

    Raises:
      ValueError: in one line, where it cannot start, or JIT is off in training.
    """
    prepare()
    if training and jax.config.values["jax_disable_jit"]:
        raise ValueError("JAX_DISABLE_JIT is set, and training is compiled: unset it")
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        why = " ".join(str(error).split())[:200] or "it has no such device"
        raise ValueError(f"cannot start on {os.environ.get('JAX_PLATFORMS') or 'this machine'}: {why}") from error


def prepare_worker(cores: list[int], devices: int | None = None, gpu: str | None = None) -> None:
    """Restrict this process to its cores (none: all), CPU devices and GPU (None: all), and set its compilation cache.

    Must be called before JAX starts, since XLA sizes its thread pools once.
    """
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    # Workers may share a GPU, so none may preallocate most of its memory.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    prepare(devices)
    folder = None if os.environ.get("JAX_COMPILATION_CACHE_DIR") else program_folder()
    if folder is not None:
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def join() -> None:
    """Join the processes that train one run, as the launcher configures them.

    SLURM, Open MPI and Kubernetes are detected; elsewhere set JAX_COORDINATOR_ADDRESS (host:port), JAX_NUM_PROCESSES
    and JAX_PROCESS_ID. Must be called before JAX starts. Raises ValueError where there is no configuration.
    """
    said = {name: os.environ.get(name) for name in ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")}
    address, *numbers = said.values()
    if any(said.values()) and not (address and all(n and n.isdigit() for n in numbers)):
        raise ValueError(f"several processes need {', '.join(said)}, all three")
    try:
        jax.distributed.initialize(address or None, *(int(n) if n else None for n in numbers))  # type: ignore[arg-type]
    except (RuntimeError, ValueError) as error:
        raise ValueError(" ".join(str(error).split())) from error


def discard_output() -> None:
    """Discard further output, since its reader has gone away."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def ended(status: int) -> int:
    """Return the exit status of a failed command; one of several processes that train a run exits here at once.

    Otherwise JAX would wait for the other processes, which wait for this one in the middle of the run.
    """
    if jax.distributed.is_initialized() and jax.process_count() > 1:
        sys.stderr.flush()
        os._exit(status)
    return status


def program_folder() -> Path | None:
    """Return the folder of compiled programs within the cache, one a machine; None where no place is safe.

    Programs are run as they are found, so a folder that others can write, or that is another's, is passed over: where
    RNNGEN_CACHE is shared, the system's folder takes its place. The programs used longest ago go when there is more
    than `CACHE_BYTES` of them: JAX 0.10.2 stops caching for good once a process dies in the midst of storing a program,
    where `jax_compilation_cache_max_size` is set.
    """
    for home in dict.fromkeys([cache_folder(), Path(platformdirs.user_cache_dir("rnngen"))]):
        folder = home / "compiled" / platform.node()
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for place in (folder, folder.parent, home):
                _check_own(place)
            trim(folder, CACHE_BYTES)
            return folder
    return None


def run_alone(command: list[str], seconds: float, env: dict[str, str] | None = None) -> tuple[int, str, str]:
    """Run a command; return (status, stdout, stderr). After `seconds` it is killed with all its child processes.

    Raises OSError where it cannot be started, and TimeoutExpired.
    """
    # If only the command were killed, its children would keep its pipes open.
    both = subprocess.PIPE
    with subprocess.Popen(
        command, env=env, start_new_session=True, stdout=both, stderr=both, text=True, errors="replace"
    ) as started:
        try:
            out, error = started.communicate(timeout=seconds)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)
            raise
    return started.returncode, out, error


def trim(folder: Path, most: int) -> None:
    """Delete the files of a folder that were used longest ago, until no more than `most` bytes are left."""
    # Another process may delete one at the same time.
    files = [(entry, entry.stat()) for entry in os.scandir(folder) if entry.is_file()]
    left = sum(facts.st_size for _, facts in files)
    for entry, facts in sorted(files, key=lambda file: max(file[1].st_atime, file[1].st_mtime)):
        if left <= most:
            return
        Path(entry.path).unlink(missing_ok=True)
        left -= facts.st_size


def _check_own(folder: Path) -> None:
    facts = folder.stat()
    if hasattr(os, "getuid") and (facts.st_uid != os.getuid() or facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)):
        raise PermissionError(f"{folder} can be written by others")


def keep_memory() -> bool:
    """Make glibc's malloc keep freed memory.

    By default it maps every array above 32 MB anew and returns it to the kernel when freed, and likewise the arenas of
    all threads but the first; the kernel then clears and faults in the same pages at each training step. In exchange,
    the process never shrinks. The same from outside: MALLOC_ARENA_MAX=1 MALLOC_MMAP_MAX_=0
    MALLOC_TRIM_THRESHOLD_=2147483647.

    Returns:
      True if that worked.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    settings = ((_M_ARENA_MAX, 1), (_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1))
    return mallopt is not None and [mallopt(*setting) for setting in settings] == [1, 1, 1]


def cores() -> list[int]:
    """Return the numbers of the cores that this process may use; empty if unknown."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def count_cores() -> int:
    """Count the cores that this process may use."""
    return len(cores()) or os.cpu_count() or 1


def gpus() -> list[str]:
    """Return the NVIDIA GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them, without starting JAX."""
    wanted = os.environ.get("JAX_PLATFORMS", "")
    if wanted and not {"cuda", "gpu"} & set(wanted.split(",")):
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [str(number) for number in range(sum(line.startswith("GPU") for line in listed.splitlines()))]
