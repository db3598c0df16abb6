"""Compiled loops as libraries: one a cell, built by the machine's own C++ compiler, kept, and handed to JAX.

A library is kept under a name that says all it depends on: our sources, JAX's headers, the compiler and its version,
the instruction set, and the processor. So machines of other kinds may share a folder, and none runs another's.
"""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
from pathlib import Path

import jax

from rnngen.process import cache_folder

SOURCES = Path(__file__).parent / "kernels"
PREFIX = "rnngen_"
# name -> its source, what is defined there or how it is compiled, and the calls that it has.
LIBRARIES = {
    "gru": ("layer.cc", "-DCELL=Gru", ("forward", "backward")),
    "lstm": ("layer.cc", "-DCELL=Lstm", ("forward", "backward")),
    "rnn": ("layer.cc", "-DCELL=Rnn", ("forward", "backward")),
    "linear": ("linear.cc", "-O3", ("recurrence",)),
}
FLAGS = (
    "-O2",  # -O3 takes a second longer and gives nothing: what must be unrolled is said to be
    "-std=c++17",
    "-shared",
    "-fPIC",
    "-pthread",
)
SECONDS = 120  # a compiler that takes longer is ended
MARCH = "RNNGEN_MARCH"  # overrules `native`, such as x86-64-v3; for tests and benches


class CannotBuild(Exception):  # noqa: N818, no error: the same runs in JAX
    """There are no compiled loops here; the message says why."""


def march() -> str:
    """The instruction set that the loops are compiled for, as compilers name it."""
    return os.environ.get(MARCH) or "native"


def place(name: str) -> Path:
    """Where a library is kept, without a suffix. Raises CannotBuild where there is no such folder."""
    folder = _folder(os.environ.get("XDG_CACHE_HOME"))
    return folder / f"loops-{name}-{_digest(_compiler() or '', march(), _xla_flags())}"


@functools.cache
def _folder(cache_home: str | None) -> Path:
    """Asked once for each home of caches, since it is looked through for what is old."""
    folder = cache_folder()
    if folder is None:
        raise CannotBuild("no folder that is yours alone to keep them in")
    return folder.parent


def _compiler() -> str | None:
    """The C++ compiler: what CXX says, or the first that is found."""
    return os.environ.get("CXX") or next(filter(shutil.which, ("c++", "g++", "clang++")), None)


@functools.cache
def _digest(compiler: str, march: str, xla_flags: str) -> str:
    parts = [path.read_bytes() for path in sorted(SOURCES.iterdir())]
    facts = (jax.__version__, compiler, _version(compiler), FLAGS, march, xla_flags, processor())
    return hashlib.sha256(b"\0".join([*parts, str(facts).encode()])).hexdigest()[:16]


def _version(compiler: str) -> str:
    if shutil.which(compiler) is None:
        return ""
    try:
        done = subprocess.run([compiler, "--version"], capture_output=True, text=True, timeout=30, errors="replace")
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return done.stdout


def _xla_flags() -> str:
    """XLA_FLAGS as far as it says how programs are compiled: JAX's own pass is what the loops are compared with."""
    return " ".join(flag for flag in os.environ.get("XLA_FLAGS", "").split() if "device_count" not in flag)


def processor() -> str:
    """What this processor is and can do, as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    # As x86 and as ARM call them.
    said = {
        line for line in lines if line.startswith(("flags", "model name", "Features", "CPU implementer", "CPU part"))
    }
    return "\n".join([platform.machine(), *sorted(said)])


def build(name: str, path: Path) -> None:
    """Compile a library into the file `path`. Raises CannotBuild with what the compiler says."""
    (source, define, _), compiler = LIBRARIES[name], _compiler()
    if compiler is None or shutil.which(compiler) is None:
        raise CannotBuild(f"no C++ compiler {compiler or ''}".strip())
    command = [compiler, *FLAGS, define, f"-I{jax.ffi.include_dir()}", str(SOURCES / source), "-o", str(path)]
    said = _run([*command, f"-march={march()}"])
    if said is not None and march() == "native":  # which not every compiler knows
        said = _run(command)
    if said is not None:
        raise CannotBuild(f"{command[0]}: {said}")


def _run(command: list[str]) -> str | None:
    """What went wrong, in a line; None where nothing did."""
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS, errors="replace")
    except (OSError, subprocess.SubprocessError) as error:
        return " ".join(str(getattr(error, "stderr", None) or error).split())[:200]
    return None


REGISTERED: set[str] = set()


def register(name: str, path: Path) -> None:
    """Hand a library to JAX, once, its calls as `PREFIX + name + _ + call`. Raises OSError where it does not load."""
    if name in REGISTERED:
        return
    library = ctypes.CDLL(str(path))
    for call in LIBRARIES[name][2]:
        jax.ffi.register_ffi_target(f"{PREFIX}{name}_{call}", jax.ffi.pycapsule(getattr(library, call)), platform="cpu")
    REGISTERED.add(name)
