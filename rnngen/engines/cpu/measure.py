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
        timing = Timing([programs] if programs else _of_our_own(units, why_not.result()))
        timing.prepare(PASS)
        reason = why_not.result()
    if reason is None:
        timing.prepare(LOOPS)
        times = timing.seconds()
        if max(part[LOOPS] / part[PASS] for part in times) < CLEAR:
            return _write(record, place, timing, times)
    timing.prepare(SCAN)
    _write(record, place, timing, timing.seconds(), reason)


def _of_our_own(units: int, why_not: str | None) -> list[Programs]:
    """Return programs of the cell that stands for all elementwise affine ones; by loops too if they were built.

    For inputs of one feature and of more: XLA computes the product with one in the loop over steps, which may take
    three times as long.
    """
    engines = {way: engine for way, engine in AFFINE.items() if way != LOOPS or why_not is None}
    calls = [build.target(build.LINEAR, "recurrence")]
    return [export.programs(CELLS["mingru"](units), engines, calls, features) for features in (1, export.FEATURES)]


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
    """Timing of layers, one after another, run in several ways. same: all ways gave the same results."""

    def __init__(self, layers: list[Programs]):
        self.same, self._layers = True, layers
        self._inputs = [jax.jit(deserialize(layer[INPUTS][0]).call)() for layer in layers]
        self._ways: dict[str, list[Callable[[], list]]] = {}

    def prepare(self, way: str) -> None:
        """Compile the forward pass and the gradient of a way, and compare their results."""
        with ThreadPoolExecutor(2) as pool:
            self._ways[way] = list(pool.map(lambda part: self._compiled(way, part), range(2)))
        results, expected = ([part() for part in self._ways[w]] for w in (way, PASS))
        self.same &= _near(results, expected)

    def _compiled(self, way: str, part: int) -> Callable[[], list]:
        programs = [
            jax.jit(deserialize(layer[way][part]).call).lower(*inputs).compile()
            for layer, inputs in zip(self._layers, self._inputs, strict=True)
        ]
        return lambda: [program(*inputs) for program, inputs in zip(programs, self._inputs, strict=True)]

    def seconds(self) -> list[dict[str, float]]:
        """Return the seconds of each prepared way, forward and with the gradient."""
        return [_seconds({way: parts[part] for way, parts in self._ways.items()}) for part in range(2)]


def _near(result: Any, expected: Any) -> bool:
    pairs = zip(*(map(np.asarray, jax.tree.leaves(tree)) for tree in (result, expected)), strict=True)
    return all(np.abs(a - e).max() <= TOLERANCE * (1e-3 + np.abs(e).max()) for a, e in pairs)


def _seconds(calls: dict[str, Callable[[], list]]) -> dict[str, float]:
    """Return the shortest of some interleaved calls: other load on the machine only adds time."""
    times: dict[str, list[float]] = {way: [] for way in calls}
    began = time.perf_counter()
    for repeat in range(REPEATS):
        for way, call in calls.items():
            start = time.perf_counter()
            jax.block_until_ready(call())
            times[way].append(time.perf_counter() - start)
        if repeat >= 2 and time.perf_counter() - began > ENOUGH:
            break
    return {way: round(min(seconds), 7) for way, seconds in times.items()}


if __name__ == "__main__":
    main(*read_job(Path(sys.argv[1])))
