"""Which way of running a layer is the fastest on this machine: timed where it runs, once, and kept.

When a cell's compiled loops are first asked for, a process of its own builds them and times them beside the pass in JAX
and a plain scan (`measuring.py`), for the number of cores that a layer has here. What it found is kept beside the
library, and from then on the choice is fixed: it depends on nothing but what is kept. A layer takes the ways of the
measured shape that is nearest to its own. In a process of its own, since loops that end it must not end a training.
"""

import contextlib
import fcntl
import functools
import hashlib
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple

import jax

from rnngen.engines import building
from rnngen.jsonfiles import DamagedFile, read_json, write_json

LOOPS, PASS, SCAN = WAYS = ("loops", "pass", "scan")  # in the order of preference where two are as fast
ROW = {"shape": [int], "forward": {...: float}, "both": {...: float}}
ALIKE = 1.05  # ways whose times differ by less count as equally fast
SECONDS = 300


class Ways(NamedTuple):
    """The fastest ways of running a layer: forward alone, and forward with its gradient."""

    forward: str
    both: str


class Found(NamedTuple):
    """What is kept of a library. library: its SHA-256; why_not: why there is none, else None.

    rows: of each shape `[t, b, d, h]` that was measured, seconds by way for `forward` and `both`.
    record: the file that says so.
    """

    library: str
    why_not: str | None
    rows: list[dict[str, Any]]
    record: str


def load(name: str, threads: int) -> bool:
    """Whether JAX has these compiled loops and runs on a CPU; where they are new, they are built and timed first."""
    return jax.default_backend() == "cpu" and (name in building.REGISTERED or find(name, threads).why_not is None)


def ways(name: str, threads: int, batch: int, units: int, among: tuple[str, ...] = WAYS) -> Ways:
    """The fastest ways on so many threads, of those named; the first of them where nothing was measured."""
    found = find(name, threads)
    possible = [way for way in among if way != LOOPS or found.why_not is None]
    if not found.rows:
        return Ways(possible[0], possible[0])
    row = min(found.rows, key=lambda row: _distance(row["shape"], batch, units))
    return Ways(_fastest(row["forward"], possible), _fastest(row["both"], possible))


def _distance(shape: list[int], batch: int, units: int) -> float:
    """Between sizes, by factors; the units say most of what a step costs."""
    _, b, _, h = shape
    return 2 * abs(math.log(units / h)) + abs(math.log(batch / b))


def _fastest(seconds: dict[str, float], possible: list[str]) -> str:
    known = [way for way in possible if way in seconds] or possible[:1]
    least = min(seconds.get(way, math.inf) for way in known)
    return next((way for way in known if seconds.get(way, math.inf) <= ALIKE * least), known[0])


def find(name: str, threads: int) -> Found:
    """What is kept of a library and its timing, made now where it is not there yet."""
    # The environment is asked each time: a test or a bench may have set another instruction set.
    try:
        return _find(name, threads, building.place(name))
    except building.CannotBuild as reason:
        return Found("", str(reason), [], "")


@functools.cache
def _find(name: str, threads: int, place: Path) -> Found:
    record = Path(f"{place}-{threads}.json")
    try:
        found = _read(record, place)
        if found is None:
            with _alone(place.parent / "loops.lock", name):
                found = _read(record, place) or _measure(name, threads, place, record)
        if found.why_not is None:
            building.register(name, library_of(place))
    except OSError as error:  # a folder that is full or cannot be written, a lock that cannot be had
        return Found("", str(error), [], "")
    return found


def library_of(place: Path) -> Path:
    """The library that belongs to a place."""
    return Path(f"{place}.so")


def checksum(library: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(library.read_bytes()).hexdigest()


def _read(record: Path, place: Path) -> Found | None:
    """What a record says; None where there is none, or the library beside it is not the one it speaks of."""
    try:
        said = read_json(record, {"library": str, "why_not": (str, NoneType), "rows": [ROW]})
    except DamagedFile:
        return None
    if said is None:
        return None
    found = Found(said["library"], said["why_not"], said["rows"], str(record))
    library = library_of(place)
    whole = found.why_not is not None or (library.exists() and checksum(library) == found.library)
    return found if whole else None


def _measure(name: str, threads: int, place: Path, record: Path) -> Found:
    _tell(f"building the compiled loops of {name} and timing them, once on this machine")
    command = [sys.executable, "-m", "rnngen.engines.measuring", name, str(threads), str(place), str(record)]
    plain = {key: value for key, value in os.environ.items() if not key.startswith("JAX_")} | {"JAX_PLATFORMS": "cpu"}
    try:
        done = subprocess.run(command, env=plain, capture_output=True, text=True, errors="replace", timeout=SECONDS)
        found = _read(record, place)
        if found is not None:
            return found
        last = (done.stderr.strip().splitlines() or [""])[-1][:200]
        wrong = f"a signal, {_signal(-done.returncode)}" if done.returncode < 0 else last
    except subprocess.TimeoutExpired:
        wrong = f"nothing within {SECONDS} s"
    # Kept as well, so that no other process tries the same.
    failed = Found("", f"building and timing them ended in {wrong}", [], str(record))
    write_json(record, {"library": "", "why_not": failed.why_not, "rows": []})
    return failed


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


@contextlib.contextmanager
def _alone(path: Path, name: str) -> Iterator[None]:
    """While no other process builds or times; the lock ends with its owner."""
    with open(path, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _tell(f"another process builds compiled loops; waiting for it with those of {name}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _tell(what: str) -> None:
    print(f"rnngen: {what}", file=sys.stderr, flush=True)
