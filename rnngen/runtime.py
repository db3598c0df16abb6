"""What a process should have before JAX starts: an allocator that keeps its memory, devices made of cores, its share.

Call `prepare` first thing in a program of one's own; `rnngen train` does, and the workers of a sweep `prepare_worker`.
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

# The numbers of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8
CACHE_BYTES = 2**30


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


def start(training: bool = False) -> None:
    """`prepare`, and start JAX. Raises ValueError, in one line, where it cannot start, or is to compile no training."""
    prepare()
    if training and jax.config.values["jax_disable_jit"]:
        raise ValueError("JAX_DISABLE_JIT is set, and training is compiled: unset it")
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        why = " ".join(str(error).split())[:200] or "it has no such device"
        raise ValueError(f"cannot start on {os.environ.get('JAX_PLATFORMS') or 'this machine'}: {why}") from error


def prepare_worker(cores: list[int], devices: int | None = None, gpu: str | None = None) -> None:
    """Give this process its cores (none: all stay), CPU devices and GPU (None: all stay), and the compiled programs.

    To be called before JAX starts, since XLA sizes its thread pools once.
    """
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    # Workers may share a GPU, so none takes most of its memory at once.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    prepare(devices)
    folder = None if os.environ.get("JAX_COMPILATION_CACHE_DIR") else cache_folder()
    if folder is not None:
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def join() -> None:
    """Make this process one of several that train one run, as its launcher says.

    SLURM, Open MPI and Kubernetes tell by themselves; elsewhere JAX_COORDINATOR_ADDRESS (host:port),
    JAX_NUM_PROCESSES and JAX_PROCESS_ID do. To be called before JAX starts. Raises ValueError where nothing tells.
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
    """Have nobody hear what is still printed, where its reader has gone away."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def ended(status: int) -> int:
    """The exit status of a command that failed; one of several processes that train one run ends with it here.

    JAX has a process wait for the others before it ends, and these wait for it in the midst of the run.
    """
    if jax.distributed.is_initialized() and jax.process_count() > 1:
        sys.stderr.flush()
        os._exit(status)
    return status


def cache_folder() -> Path | None:
    """Where workers keep compiled programs: a folder of the user's own, one a machine; None where there is none safe.

    Programs are run as they are found, so a folder that others can write, or that is another's, is passed over.
    The oldest programs go when there is more than `CACHE_BYTES` of them. JAX_COMPILATION_CACHE_DIR overrules it.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "rnngen" / "compiled" / platform.node()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for place in (folder, folder.parent, folder.parent.parent):
            _check_own(place)
        trim(folder, CACHE_BYTES)
    except OSError:
        return None
    return folder


def run_alone(command: list[str], seconds: float, env: dict[str, str] | None = None) -> tuple[int, str, str]:
    """(status, stdout, stderr) of a command, which is ended with all that it has started where it takes longer.

    Raises OSError where it cannot be started, and TimeoutExpired.
    """
    # Killed alone, what it has started would hold its pipes open, and be waited for.
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


def gpus() -> list[str]:
    """The NVIDIA GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them, found without starting JAX."""
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
