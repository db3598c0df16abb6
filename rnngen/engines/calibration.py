"""Which way of running a layer is the fastest on this machine: timed where it runs, once, and kept.

When a cell's compiled loops are first asked for, a process of its own builds them and times them beside the pass in JAX
and a plain scan (`measuring.py`), for a layer about as large. What it found is kept beside the library, and from then
on the choice is fixed: it depends on nothing but what is kept. All are timed on one core, so that a run has the same
bits on however many; loops share a batch between cores, which JAX does with large products alone. In a process of its
own, since loops that end it must not end a training.
"""

import contextlib
import fcntl
import functools
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
from rnngen.provenance import sha256_of

LOOPS, PASS, SCAN = WAYS = ("loops", "pass", "scan")  # in the order of preference where two are as fast
SHAPE = {"library": str, "why_not": (str, NoneType), "forward": {...: float}, "both": {...: float}}
# How a layer is timed, t, b, d, h, by its size: whether a core's own cache holds its weights. A step costs the same
# however many there are; few, so that all this takes seconds.
SIZES = {"small": (32, 64, 2, 128), "large": (8, 32, 64, 512)}
LARGE = 256  # units from which a layer is large
ALIKE = 1.05  # ways whose times differ by less count as equally fast
SECONDS = 300


class Ways(NamedTuple):
    """The fastest ways of running a layer: forward alone, and forward with its gradient."""

    forward: str
    both: str


class Found(NamedTuple):
    """What is kept of a library, for layers of one size.

    library: its SHA-256; why_not: why there is none, else None. forward, both: seconds by way, of those that were
    timed, forward alone and with the gradient. record: the file that says so.
    """

    library: str
    why_not: str | None
    forward: dict[str, float]
    both: dict[str, float]
    record: str


def load(name: str) -> bool:
    """Whether JAX has these compiled loops and runs on a CPU; where they are new, they are built and timed first."""
    return jax.default_backend() == "cpu" and (name in building.REGISTERED or find(name).why_not is None)


def ways(name: str, units: int, among: tuple[str, ...] = WAYS) -> Ways:
    """The fastest ways for a layer of so many units, of those named; the first of them where nothing was measured."""
    found = find(name, "large" if units >= LARGE else "small")
    possible = [way for way in among if way != LOOPS or found.why_not is None]
    return Ways(_fastest(found.forward, possible), _fastest(found.both, possible))


def _fastest(seconds: dict[str, float], possible: list[str]) -> str:
    known = {way: seconds[way] for way in possible if way in seconds}
    return next((way for way, spent in known.items() if spent <= ALIKE * min(known.values())), possible[0])


def find(name: str, size: str = "small") -> Found:
    """What is kept of a library and its timing, made now where it is not there yet. size: one of `SIZES`."""
    # The environment is asked each time: a test or a bench may have set another instruction set.
    try:
        return _find(name, size, building.place(name))
    except building.CannotBuild as reason:
        return none(str(reason))


def none(why_not: str, record: str = "") -> Found:
    """What is found where nothing could be built or timed."""
    return Found("", why_not, {}, {}, record)


@functools.cache
def _find(name: str, size: str, place: Path) -> Found:
    record = Path(f"{place}-{size}.json")
    try:
        found = _read(record, place)
        if found is None:
            with _alone(place.parent / "loops.lock", name):
                found = _read(record, place) or _measure(name, size, place, record)
        if found.why_not is None:
            building.register(name, library_of(place))
    except OSError as error:  # a folder that is full or cannot be written, a lock that cannot be had
        return none(str(error))
    return found


def library_of(place: Path) -> Path:
    """The library that belongs to a place."""
    return Path(f"{place}.so")


def _read(record: Path, place: Path) -> Found | None:
    """What a record says; None where there is none, or the library beside it is not the one it speaks of."""
    try:
        said = read_json(record, SHAPE)
    except DamagedFile:
        return None
    if said is None:
        return None
    found = Found(**said, record=str(record))
    library = library_of(place)
    whole = found.why_not is not None or (library.exists() and sha256_of(library) == found.library)
    return found if whole else None


def _measure(name: str, size: str, place: Path, record: Path) -> Found:
    _tell(f"building the compiled loops of {name} and timing them, once on this machine, for {size} layers")
    command = [sys.executable, "-m", "rnngen.engines.measuring", name, size, str(place), str(record)]
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
    failed = none(f"building and timing them ended in {wrong}", str(record))
    write_json(record, as_json(failed))
    return failed


def is_built(place: Path) -> bool:
    """Whether the library of a place is there and was seen to be right, for layers of some size."""
    records = place.parent.glob(f"{place.name}-*.json")
    return any((found := _read(record, place)) is not None and found.why_not is None for record in records)


def as_json(found: Found) -> dict[str, Any]:
    """What a record says."""
    return {name: value for name, value in found._asdict().items() if name != "record"}


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
