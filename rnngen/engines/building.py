"""The library of compiled loops: built once by the machine's own C++ compiler, kept, and handed to JAX."""

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

import jax

from rnngen.process import cache_folder

SOURCES = Path(__file__).parent / "kernels"
PREFIX = "rnngen_"
NAMES = (*(f"{cell}_{way}" for cell in ("rnn", "gru", "lstm") for way in ("forward", "backward")), "linear_recurrence")
FLAGS = ("-O3", "-march=native", "-std=c++17", "-shared", "-fPIC", "-pthread")
SECONDS = 300


def load() -> bool:
    """Whether JAX has the loops and runs on a CPU: found, or built now, which takes some seconds once a machine.

    False too where there is no compiler, where it fails, and where no folder is the user's own; `why_not` says which.
    """
    return jax.default_backend() == "cpu" and why_not() is None


@functools.cache
def why_not() -> str | None:
    """Why there are no compiled loops here; None where there are."""
    compiler = os.environ.get("CXX") or next(filter(shutil.which, ("c++", "g++", "clang++")), None)
    folder = cache_folder()
    if compiler is None or shutil.which(compiler) is None:
        return f"no C++ compiler {compiler or ''}".strip()
    if folder is None:
        return "no folder that is yours alone to keep them in"
    path = folder.parent / f"kernels-{_digest(compiler)}.so"
    try:
        if not path.exists():
            _build(compiler, path)
        _register(path)
    except (OSError, subprocess.SubprocessError) as error:
        reason = getattr(error, "stderr", None) or error
        return f"{compiler}: {' '.join(str(reason).split())[:200]}"
    return None


def _digest(compiler: str) -> str:
    """What the library depends on: our sources, JAX's headers, the compiler, and what this processor can do."""
    parts = [path.read_bytes() for path in sorted(SOURCES.iterdir())]
    parts += [str((jax.__version__, compiler, FLAGS, platform.machine())).encode()]
    with contextlib.suppress(OSError):
        flags = [
            line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith(("flags", "model name"))
        ]
        parts += [line.encode() for line in sorted(set(flags))]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _build(compiler: str, path: Path) -> None:
    """Compile into a file beside `path`, and move it there whole: several processes may do so at once."""
    handle, name = tempfile.mkstemp(suffix=".so", dir=path.parent)
    os.close(handle)
    source = str(SOURCES / "kernels.cc")
    try:
        command = [compiler, *FLAGS, f"-I{jax.ffi.include_dir()}", source, "-o", name]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def _register(path: Path) -> None:
    library = ctypes.CDLL(str(path))
    for name in NAMES:
        jax.ffi.register_ffi_target(PREFIX + name, jax.ffi.pycapsule(getattr(library, name)), platform="cpu")
