"""Build a library of compiled loops and time it against JAX, in a separate process that `calibration` starts.

python -m rnngen.engines.cpu.measure FOLDER
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.export import deserialize

from rnngen import runtime
from rnngen.cells import CELLS
from rnngen.engines.auto import AFFINE
from rnngen.engines.cpu import build, calibration, export
from rnngen.engines.cpu.build import Library
from rnngen.engines.cpu.calibration import LOOPS, PASS, SCAN, Found
from rnngen.engines.cpu.export import INPUTS, Programs
from rnngen.storage.jsonl import read_json, write_json
from rnngen.storage.provenance import sha256_of

REPEATS, ENOUGH = 9, 0.3  # calls of each way, or seconds in all
TOLERANCE = 1e-4  # relative to JAX's largest entry
CLEAR = 0.75  # loops that take a smaller part of the pass's time need not be compared with a plain scan


def read_job(folder: Path) -> tuple[Library, int, Path, Programs]:
    """Read what `calibration` wrote: (library, units, record, programs; empty for a cell of this package)."""
    job = read_json(folder / "job.json")
    if job is None:
        raise FileNotFoundError(f"{folder} holds no job")
    library = Library(**job["library"] | {"calls": tuple(job["library"]["calls"])})

    def parts(way: str) -> tuple[bytearray, ...]:
        return tuple(bytearray((folder / f"{way}-{i}").read_bytes()) for i in range(job["programs"][way]))

    return library, job["units"], Path(job["record"]), {way: parts(way) for way in job["programs"]}


def main(library: Library, units: int, record: Path, programs: Programs) -> None:
    """Write the record, and the library if its results are right."""
    place = calibration.place_of(record)
    with ThreadPoolExecutor(1) as beside:
        why_not: Future = beside.submit(_build, library, place)
        runtime.prepare_worker(runtime.cores()[:1], devices=1)
        timing = Timing(programs or _of_our_own(units, why_not.result()))
        timing.prepare(PASS)
        reason = why_not.result()
    if reason is None:
        timing.prepare(LOOPS)
        times = timing.seconds()
        if max(part[LOOPS] / part[PASS] for part in times) < CLEAR:
            return _write(record, place, timing, times)
    timing.prepare(SCAN)
    _write(record, place, timing, timing.seconds(), reason)


def _of_our_own(units: int, why_not: str | None) -> Programs:
    """Return programs of the cell that stands for all elementwise affine ones; by loops too if they were built."""
    engines = {way: engine for way, engine in AFFINE.items() if way != LOOPS or why_not is None}
    return export.programs(CELLS["mingru"](units), engines, [build.target(build.LINEAR, "recurrence")])


def _write(record: Path, place: Path, timing: "Timing", times: list[dict], why_not: str | None = None) -> None:
    if why_not is None and not timing.same:
        why_not = "they do not compute what JAX does"
    digest = "" if why_not else sha256_of(calibration.library_of(place))
    write_json(record, calibration.as_json(Found(digest, why_not, times[0], times[1], "")))


def _build(library: Library, place: Path) -> str | None:
    """Build and register the library; return the reason if that failed, else None."""
    if calibration.is_built(place):
        build.register(library, calibration.library_of(place))
        return None
    handle, new = tempfile.mkstemp(suffix=".so", dir=place.parent)
    os.close(handle)
    try:
        build.build(library, Path(new))
        os.replace(new, calibration.library_of(place))
        build.register(library, calibration.library_of(place))
    except (build.CannotBuild, OSError) as error:
        return str(error)
    finally:
        Path(new).unlink(missing_ok=True)
    return None


class Timing:
    """Timing of one layer run in several ways. same: all of them gave the same results."""

    def __init__(self, programs: Programs):
        self.same, self._exported = True, programs
        self._inputs = jax.jit(deserialize(programs[INPUTS][0]).call)()
        self._programs: dict[str, list[Callable]] = {}

    def prepare(self, way: str) -> None:
        """Compile the forward pass and the gradient of a way, and compare their results."""
        lowered = [jax.jit(deserialize(data).call).lower(*self._inputs) for data in self._exported[way]]
        with ThreadPoolExecutor(2) as pool:
            self._programs[way] = list(pool.map(lambda program: program.compile(), lowered))
        results, expected = ([p(*self._inputs) for p in self._programs[w]] for w in (way, PASS))
        self.same &= _near(results, expected)

    def seconds(self) -> list[dict[str, float]]:
        """Return the seconds of each prepared way, forward and with the gradient."""
        parts = range(2)
        return [_seconds({way: pair[part] for way, pair in self._programs.items()}, self._inputs) for part in parts]


def _near(result: Any, expected: Any) -> bool:
    pairs = zip(*(map(np.asarray, jax.tree.leaves(tree)) for tree in (result, expected)), strict=True)
    return all(np.abs(a - e).max() <= TOLERANCE * (1e-3 + np.abs(e).max()) for a, e in pairs)


def _seconds(programs: dict, inputs: tuple) -> dict[str, float]:
    """Return the shortest of some interleaved calls: other load on the machine only adds time."""
    times: dict[str, list[float]] = {way: [] for way in programs}
    began = time.perf_counter()
    for repeat in range(REPEATS):
        for way, program in programs.items():
            start = time.perf_counter()
            jax.block_until_ready(program(*inputs))
            times[way].append(time.perf_counter() - start)
        if repeat >= 2 and time.perf_counter() - began > ENOUGH:
            break
    return {way: round(min(seconds), 7) for way, seconds in times.items()}


if __name__ == "__main__":
    main(*read_job(Path(sys.argv[1])))
