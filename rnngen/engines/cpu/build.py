"""Compiled loops as libraries, built by the machine's own C++ compiler, kept, and handed to JAX.

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
from typing import NamedTuple

import jax

from rnngen.runtime import cache_folder, run_alone

SOURCES = Path(__file__).parent / "kernels"


class Library(NamedTuple):
    """A library of compiled loops.

    source: its file in `kernels/`; calls: what it has for JAX; text: the C++ of a cell, of which its name has a digest.
    level: how much is optimised; for layers -O3 takes a second longer and gives nothing: what must be unrolled is said
    to be.
    """

    name: str
    source: str
    calls: tuple[str, ...]
    text: str = ""
    level: str = "-O2"


LINEAR = Library("linear", "linear.cc", ("recurrence",), level="-O3")
FLAGS = ("-std=c++17", "-shared", "-fPIC", "-pthread", "-fno-math-errno")
SECONDS = 120  # a compiler that takes longer is ended
MARCH = "RNNGEN_MARCH"  # overrules `native`, such as x86-64-v3; for tests and benches


class CannotBuild(Exception):  # noqa: N818, no error: the same runs in JAX
    """There are no compiled loops here; the message says why."""


def march() -> str:
    """The instruction set that the loops are compiled for, as compilers name it."""
    return os.environ.get(MARCH) or "native"


def place(library: Library) -> Path:
    """Where a library is kept, without a suffix. Raises CannotBuild where there is no such folder."""
    return folder() / f"loops-{library.name}-{machine()}"


def folder() -> Path:
    """Where libraries are kept. Raises CannotBuild where there is no such folder."""
    return _folder(os.environ.get("XDG_CACHE_HOME"))


def machine() -> str:
    """A digest of all that a library depends on beside its cell."""
    return _digest(_compiler() or "", march(), _xla_flags())


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
    # What times a library says whether it is used.
    timing = [SOURCES.parent / name for name in ("export.py", "measure.py")]
    parts = [path.read_bytes() for path in (*sorted(SOURCES.iterdir()), *timing)]
    facts = (jax.__version__, compiler, _version(compiler), FLAGS, march, xla_flags, processor())
    return hashlib.sha256(b"\0".join([*parts, str(facts).encode()])).hexdigest()[:16]


def _version(compiler: str) -> str:
    if shutil.which(compiler) is None:
        return ""
    try:
        return run_alone([compiler, "--version"], 10)[1]
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)


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


def build(library: Library, path: Path) -> None:
    """Compile a library into the file `path`. Raises CannotBuild with what the compiler says."""
    compiler = _compiler()
    if compiler is None or shutil.which(compiler) is None:
        raise CannotBuild(f"no C++ compiler {compiler or ''}".strip())
    cell = path.with_suffix(".h")
    cell.write_text(library.text)
    try:
        _compile(compiler, [library.level, *options(cell), str(SOURCES / library.source), "-o", str(path)])
    finally:
        cell.unlink()


def options(cell: Path) -> list[str]:
    """What any compiler is told: where headers are, and which file has the cell."""
    return [f"-I{SOURCES}", f"-I{jax.ffi.include_dir()}", f'-DCELL="{cell}"']


def _compile(compiler: str, rest: list[str]) -> None:
    command = [compiler, *FLAGS, *rest]
    said = _run([*command, f"-march={march()}"])
    if said is not None and march() == "native":  # which not every compiler knows
        said = _run(command)
    if said is not None:
        raise CannotBuild(f"{command[0]}: {said}")


def _run(command: list[str]) -> str | None:
    """What went wrong, in a line; None where nothing did."""
    try:
        status, _, said = run_alone(command, SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)[-200:]
    lines = said.splitlines()
    return " ".join(next((line for line in lines if "error" in line), said).split())[:200] if status else None


REGISTERED: set[str] = set()


def register(library: Library, path: Path) -> None:
    """Hand a library to JAX, once, its calls as `target` says. Raises OSError where it does not load."""
    if library.name in REGISTERED:
        return
    loaded = ctypes.CDLL(str(path))
    for call in library.calls:
        jax.ffi.register_ffi_target(target(library, call), jax.ffi.pycapsule(getattr(loaded, call)), platform="cpu")
    REGISTERED.add(library.name)


def target(library: Library, call: str) -> str:
    """What JAX calls it."""
    return f"rnngen_{library.name}_{call}"
