"""The fastest way of running a layer on this machine, timed once and stored.

When a cell's compiled loops are first requested, a separate process builds them and times them against the pass in JAX
and a plain scan (`measure.py`), for a layer of about this width. The timings are stored beside the library, and from
then on the choice depends on nothing else. All are timed on one core, so that a run gives the same bits on any number
of cores; the loops share a batch between cores, which JAX does only with large products. The process is separate so
that a crash of the loops does not end a training.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple

from rnngen.engines.cpu import build
from rnngen.engines.cpu.build import Library
from rnngen.engines.cpu.export import Programs
from rnngen.runtime import run_alone
from rnngen.storage.jsonl import DamagedFile, read_json, write_json
from rnngen.storage.provenance import sha256_of

LOOPS, PASS, SCAN = WAYS = ("loops", "pass", "scan")  # in the order of preference where two are as fast
SHAPE = {"library": str, "why_not": (str, NoneType), "forward": {...: float}, "both": {...: float}}
ALIKE = 1.05  # ways whose times differ by less count as equally fast
SECONDS = 300
NARROWEST, WIDEST = 32, 1024  # narrower and wider layers are timed as one of this width
MakePrograms = Callable[[], Programs]


class _CannotTrace(Exception):  # noqa: N818, no error: the same runs in JAX
    """A cell cannot be traced for the layer that would be timed; the message says why."""


class Ways(NamedTuple):
    """The fastest ways of running a layer: forward alone, and forward with its gradient."""

    forward: str
    both: str


class Found(NamedTuple):
    """The calibration of a library, for layers of about one width.

    Attributes:
      library: its SHA-256.
      why_not: why there is no library, else None.
      forward: seconds of the forward pass, by way, for the ways that were timed.
      both: seconds of the forward pass with the gradient, likewise.
      record: the file that stores all this.
    """

    library: str
    why_not: str | None
    forward: dict[str, float]
    both: dict[str, float]
    record: str


def ways(library: Library, units: int, programs: MakePrograms | None, among: tuple[str, ...] = WAYS) -> Ways:
    """Return the fastest of some ways for a layer of this many units; the first of them where none was timed."""
    found = find(library, units, programs)
    possible = [way for way in among if way != LOOPS or found.why_not is None]
    return Ways(_fastest(found.forward, possible), _fastest(found.both, possible))


def _fastest(seconds: dict[str, float], possible: list[str]) -> str:
    known = {way: seconds[way] for way in possible if way in seconds}
    return next((way for way, spent in known.items() if spent <= ALIKE * min(known.values())), possible[0])


def size_of(units: int) -> int:
    """Round the units up to the power of two that stands for them in timing."""
    return min(max(1 << (int(units) - 1).bit_length(), NARROWEST), WIDEST)


FOUND: dict[tuple, Found] = {}  # by this process


def find(library: Library, units: int, programs: MakePrograms | None = None) -> Found:
    """Return the calibration of a library, made now if there is none yet.

    programs: makes the programs to time; None: the timing process makes them, from a cell of this package.
    """
    # The environment is read each time: a test or a benchmark may have set another instruction set.
    try:
        key = (library.name, size_of(units), build.place(library))
    except build.CannotBuild as reason:
        return none(str(reason))
    if key not in FOUND:
        try:
            FOUND[key] = _find(library, units, key[2], programs)
        except _CannotTrace as reason:  # of this cell: another with the same loops may do
            return none(str(reason))
    return FOUND[key]


def none(why_not: str, record: str = "") -> Found:
    """Return the calibration where nothing could be built or timed."""
    return Found("", why_not, {}, {}, record)


def _find(library: Library, units: int, place: Path, programs: MakePrograms | None) -> Found:
    record = Path(f"{place}-{size_of(units)}.json")
    try:
        found = read(record)
        if found is None:
            with _alone(place.parent / "loops.lock", library.name):
                found = read(record) or _measure(library, units, record, programs)
        if found.why_not is None:
            build.register(library, library_of(place))
    except OSError as error:  # a folder that is full or cannot be written, a lock that cannot be had
        return none(str(error))
    return found


def library_of(place: Path) -> Path:
    """Return the path of the library at a place."""
    return Path(f"{place}.so")


def place_of(record: Path) -> Path:
    """Return the place of the library that a record describes."""
    return Path(str(record).rpartition("-")[0])


def read(record: Path) -> Found | None:
    """Read a record; None where there is none, or where the library beside it is not the one it describes."""
    try:
        said = read_json(record, SHAPE)
    except DamagedFile:
        return None
    if said is None:
        return None
    found = Found(**said, record=str(record))
    library = library_of(place_of(record))
    whole = found.why_not is not None or (library.exists() and sha256_of(library) == found.library)
    return found if whole else None


def _measure(library: Library, units: int, record: Path, programs: MakePrograms | None) -> Found:
    try:
        given = programs() if programs else {}
    except Exception as error:  # a cell may raise anything when traced for other shapes, and no run must end by that
        line = " ".join(str(error).split())[:200]
        raise _CannotTrace(f"tracing the layer ended in {type(error).__name__}: {line}") from error
    _tell(f"building the compiled loops of {library.name} and timing them, once on this machine, for {units} units")
    wrong = _time({"library": library._asdict(), "units": int(units), "record": str(record)}, given)
    found = read(record)
    if found is None:  # stored too, so that no other process tries again
        found = none(wrong, str(record))
        write_json(record, as_json(found))
    return found


def _time(job: dict[str, Any], programs: Programs) -> str:
    """Run a job in a separate process, which writes the record; return the reason in case it did not."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith("JAX_")} | {"JAX_PLATFORMS": "cpu"}
    with tempfile.TemporaryDirectory(prefix="rnngen-") as folder:
        write_json(Path(folder, "job.json"), job | {"programs": {way: len(parts) for way, parts in programs.items()}})
        for way, parts in programs.items():
            for number, part in enumerate(parts):
                Path(folder, f"{way}-{number}").write_bytes(part)
        try:
            status, _, said = run_alone([sys.executable, "-m", "rnngen.engines.cpu.measure", folder], SECONDS, plain)
        except subprocess.TimeoutExpired:
            return f"building and timing them ended in nothing within {SECONDS} s"
    last = (said.strip().splitlines() or [""])[-1][:200]
    return f"building and timing them ended in {f'a signal, {_signal(-status)}' if status < 0 else last}"


def kept() -> dict[str, dict[int, Found]]:
    """Return all calibrations of this machine, by name of the library and units."""
    try:
        records = sorted(build.folder().glob(f"loops-*-{build.machine()}-*.json"))
    except build.CannotBuild:
        return {}
    libraries: dict[str, dict[int, Found]] = {}
    for record in records:
        _, name, _, units = record.stem.split("-")
        if (found := read(record)) is not None:
            libraries.setdefault(name, {})[int(units)] = found
    return {name: dict(sorted(sizes.items())) for name, sizes in libraries.items()}


def is_built(place: Path) -> bool:
    """Return True if the library of a place exists and passed its check, for layers of some size."""
    records = place.parent.glob(f"{place.name}-*.json")
    return any((found := read(record)) is not None and found.why_not is None for record in records)


def as_json(found: Found) -> dict[str, Any]:
    """Return the content of a record."""
    return {name: value for name, value in found._asdict().items() if name != "record"}


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


@contextlib.contextmanager
def _alone(path: Path, name: str) -> Iterator[None]:
    """Hold the lock on building and timing; it ends with its owner."""
    with open(path, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _tell(f"another process builds compiled loops; waiting for it with those of {name}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _tell(what: str) -> None:
    print(f"rnngen: {what}", file=sys.stderr, flush=True)
