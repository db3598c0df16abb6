"""Libraries of compiled loops, built by the machine's own C++ compiler, cached, and registered with JAX.

The file name is a digest of all that a library depends on: our sources, JAX's headers, the compiler and its version,
the instruction set, and the processor. So different machines may share a folder, and none runs another's library.
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

from rnngen.runtime import cache_folder, program_folder, run_alone

SOURCES = Path(__file__).parent / "kernels"


class Library(NamedTuple):
    """A library of compiled loops.

    source: its file in `kernels/`; calls: the functions that JAX calls; text: the C++ of a cell, whose digest is in the
    name. level: of optimisation; -O3 gains nothing for layers, whose loops are unrolled explicitly, and builds slower.
    """

    name: str
    source: str
    calls: tuple[str, ...]
    text: str = ""
    level: str = "-O2"


LINEAR = Library("linear", "linear.cc", ("recurrence",), level="-O3")
FLAGS = ("-std=c++17", "-shared", "-fPIC", "-pthread", "-fno-math-errno")
SECONDS = 120  # a compiler that takes longer is ended
MARCH = "RNNGEN_MARCH"  # overrides `native`, such as x86-64-v3; for tests and benchmarks


class CannotBuild(Exception):  # noqa: N818, no error: the same runs in JAX
    """There are no compiled loops here; the message says why."""


def march() -> str:
    """Return the instruction set that the loops are compiled for, as compilers name it."""
    return os.environ.get(MARCH) or "native"


def place(library: Library) -> Path:
    """Return the path of a library, without a suffix. Raises CannotBuild where there is no folder for it."""
    return folder() / f"loops-{library.name}-{machine()}"


def folder() -> Path:
    """Return the folder of all libraries. Raises CannotBuild where there is none."""
    return _folder(cache_folder())


def machine() -> str:
    """Return a digest of all that a library depends on besides its cell."""
    return _digest(_compiler() or "", march(), _xla_flags())


@functools.cache
def _folder(home: Path) -> Path:
    """Return the folder under a cache home; cached, since old files in it are looked for each time."""
    folder = program_folder()
    if folder is None:
        raise CannotBuild("no folder that is yours alone to keep them in")
    return folder.parent


def _compiler() -> str | None:
    """Return the C++ compiler: CXX, or the first one found."""
    return os.environ.get("CXX") or next(filter(shutil.which, ("c++", "g++", "clang++")), None)


@functools.cache
def _digest(compiler: str, march: str, xla_flags: str) -> str:
    # The code that times a library decides whether it is used.
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
    """Return the part of XLA_FLAGS that affects compilation: the loops are timed against JAX's own pass."""
    return " ".join(flag for flag in os.environ.get("XLA_FLAGS", "").split() if "device_count" not in flag)


def processor() -> str:
    """Describe this processor and its features, as the system reports them."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    # The names on x86, then on ARM.
    said = {
        line for line in lines if line.startswith(("flags", "model name", "Features", "CPU implementer", "CPU part"))
    }
    return "\n".join([platform.machine(), *sorted(said)])


def build(library: Library, path: Path) -> None:
    """Compile a library into the file `path`. Raises CannotBuild with the compiler's message."""
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
    """Return the options for any compiler: the folders of headers, and the file of the cell."""
    return [f"-I{SOURCES}", f"-I{jax.ffi.include_dir()}", f'-DCELL="{cell}"']


def _compile(compiler: str, rest: list[str]) -> None:
    command = [compiler, *FLAGS, *rest]
    said = _run([*command, f"-march={march()}"])
    if said is not None and march() == "native":  # not every compiler knows this
        said = _run(command)
    if said is not None:
        raise CannotBuild(f"{command[0]}: {said}")


def _run(command: list[str]) -> str | None:
    """Run a command; return its error in one line, or None."""
    try:
        status, _, said = run_alone(command, SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)[-200:]
    lines = said.splitlines()
    return " ".join(next((line for line in lines if "error" in line), said).split())[:200] if status else None


REGISTERED: set[str] = set()


def register(library: Library, path: Path) -> None:
    """Register a library with JAX, once, its calls named by `target`. Raises OSError where it does not load."""
    if library.name in REGISTERED:
        return
    loaded = ctypes.CDLL(str(path))
    for call in library.calls:
        jax.ffi.register_ffi_target(target(library, call), jax.ffi.pycapsule(getattr(loaded, call)), platform="cpu")
    REGISTERED.add(library.name)


def target(library: Library, call: str) -> str:
    """Return JAX's name of a call."""
    return f"rnngen_{library.name}_{call}"
