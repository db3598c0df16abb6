"""Build a library of compiled loops and time it beside JAX, in a process of its own; what `calibration` starts.

python -m rnngen.engines.measuring lstm small PLACE RECORD
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
import jax.numpy as jnp
import numpy as np

from rnngen import process
from rnngen.cells import CELLS
from rnngen.engines import building, calibration, unroll
from rnngen.engines.auto import engines_of
from rnngen.engines.calibration import LOOPS, PASS, SCAN, Found
from rnngen.jsonfiles import write_json
from rnngen.provenance import sha256_of

REPEATS, ENOUGH = 9, 0.3  # of each way, or so many seconds in all
TOLERANCE = 1e-4  # of the largest entry of what JAX gives
CLEAR = 0.75  # loops that take less of the pass's time need not be compared with a plain scan


def main(name: str, size: str, place: Path, record: Path) -> None:
    """Write the record, and the library where it is right."""
    library = calibration.library_of(place)
    with ThreadPoolExecutor(1) as beside:
        why_not: Future = beside.submit(_build, name, place)
        process.prepare_worker(process.cores()[:1], devices=1)
        timing = Timing("mingru" if name == "linear" else name, calibration.SIZES[size])
        timing.prepare(PASS)
        reason = why_not.result()
    if reason is None:
        timing.prepare(LOOPS)
        times = timing.seconds()
        if max(part[LOOPS] / part[PASS] for part in times) < CLEAR:
            return _write(record, library, timing, times)
    timing.prepare(SCAN)
    _write(record, library, timing, timing.seconds(), reason)


def _write(record: Path, library: Path, timing: "Timing", times: list[dict], why_not: str | None = None) -> None:
    if why_not is None and not timing.same:
        why_not = "they do not compute what JAX does"
    digest = "" if why_not else sha256_of(library)
    write_json(record, calibration.as_json(Found(digest, why_not, times[0], times[1], "")))


def _build(name: str, place: Path) -> str | None:
    """Why there is no library; None where there is one now, which is handed to JAX."""
    if calibration.is_built(place):
        building.register(name, calibration.library_of(place))
        return None
    handle, new = tempfile.mkstemp(suffix=".so", dir=place.parent)
    os.close(handle)
    try:
        building.build(name, Path(new))
        os.replace(new, calibration.library_of(place))
        building.register(name, calibration.library_of(place))
    except (building.CannotBuild, OSError) as error:
        return str(error)
    finally:
        Path(new).unlink(missing_ok=True)
    return None


class Timing:
    """One layer by several ways. same: whether all of them gave the same."""

    def __init__(self, cell: str, shape: tuple[int, ...]):
        t, b, d, h = shape
        self.same, self._engines = True, engines_of(affine=cell == "mingru")
        self._cell, draw = CELLS[cell](h), np.random.default_rng(0)
        drawn = jax.eval_shape(lambda: self._cell.init(jax.random.key(0), d))
        number = lambda x: jnp.asarray(x.shape[0] ** -0.5 * draw.standard_normal(x.shape), x.dtype)  # noqa: E731
        self._inputs = jax.tree.map(number, drawn), jnp.asarray(draw.standard_normal((t, b, d)), jnp.float32)
        self._programs: dict[str, list[Callable]] = {}

    def prepare(self, way: str) -> None:
        """Compile a way's forward pass, and its gradient of mean(ys^2) in the parameters."""
        run = lambda params, xs: unroll(self._cell, params, xs, engine=self._engines[way])[1]  # noqa: E731
        both = jax.grad(lambda params, xs: jnp.mean(run(params, xs) ** 2))
        lowered = [jax.jit(program).lower(*self._inputs) for program in (run, both)]
        with ThreadPoolExecutor(2) as pool:
            self._programs[way] = list(pool.map(lambda program: program.compile(), lowered))
        results, expected = ([p(*self._inputs) for p in self._programs[w]] for w in (way, PASS))
        self.same &= _near(results, expected)

    def seconds(self) -> list[dict[str, float]]:
        """Of each way that was prepared, forward and with the gradient."""
        parts = range(2)
        return [_seconds({way: pair[part] for way, pair in self._programs.items()}, self._inputs) for part in parts]


def _near(result: Any, expected: Any) -> bool:
    pairs = zip(*(map(np.asarray, jax.tree.leaves(tree)) for tree in (result, expected)), strict=True)
    return all(np.abs(a - e).max() <= TOLERANCE * (1e-3 + np.abs(e).max()) for a, e in pairs)


def _seconds(programs: dict, inputs: tuple) -> dict[str, float]:
    """The least of some interleaved calls: what else a machine does only adds."""
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
    main(sys.argv[1], sys.argv[2], *map(Path, sys.argv[3:]))
