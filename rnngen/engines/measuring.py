"""Build a library of compiled loops and time it beside JAX, in a process of its own; what `calibration` starts.

python -m rnngen.engines.measuring lstm 2 PLACE RECORD
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from rnngen import process
from rnngen.cells import CELLS
from rnngen.engines import building, calibration, unroll
from rnngen.engines.associative import associative
from rnngen.engines.calibration import LOOPS, PASS, SCAN
from rnngen.engines.fused import fused
from rnngen.engines.scan import scan
from rnngen.jsonfiles import write_json

# t, b, d, h. A step costs what it costs however many there are; few, so that all this takes seconds.
SHAPES = ((32, 64, 2, 128), (8, 32, 64, 512))
REPEATS, ENOUGH = 9, 0.3  # of each way at a shape, or so many seconds in all
TOLERANCE = 1e-4  # of the largest entry of what a plain scan gives


def main(name: str, threads: int, place: Path, record: Path) -> None:
    """Write the record, and the library where it is right."""
    _take_cores(threads)
    process.keep_memory()
    cell = "mingru" if name == "linear" else name
    with ThreadPoolExecutor(2) as pool:
        building_it = pool.submit(_build, name, place)
        programs = {shape: {way: _programs(cell, shape, way, pool) for way in (PASS, SCAN)} for shape in SHAPES}
        why_not = building_it.result()
        if why_not is None:
            for shape, ways in programs.items():
                programs[shape] = {LOOPS: _programs(cell, shape, LOOPS, pool)} | ways
        ready = {s: {w: tuple(p.result() for p in pair) for w, pair in ways.items()} for s, ways in programs.items()}
    rows = [_row(cell, shape, ways) for shape, ways in ready.items()]
    if not all(row.pop("same") for row in rows):
        why_not = "they do not compute what a plain scan does"
    library = "" if why_not else calibration.checksum(calibration.library_of(place))
    write_json(record, {"library": library, "why_not": why_not, "rows": rows})


def _take_cores(threads: int) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, process.cores()[:threads])


def _build(name: str, place: Path) -> str | None:
    """Why there is no library; None where there is one now, which is handed to JAX."""
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


def _programs(cell_name: str, shape: tuple[int, ...], way: str, pool: ThreadPoolExecutor) -> list:
    """Futures of the compiled programs, (params, xs) -> ys and the gradient of mean(ys^2) in params."""
    cell, (params, xs) = CELLS[cell_name](shape[-1]), _inputs(cell_name, shape)
    engine = _engine(cell_name, way)
    run: Callable = lambda params, xs: unroll(cell, params, xs, engine=engine)[1]  # noqa: E731
    both = jax.grad(lambda params, xs: jnp.mean(run(params, xs) ** 2))
    return [pool.submit(jax.jit(program).lower(params, xs).compile) for program in (run, both)]


def _engine(cell_name: str, way: str) -> Callable:
    if way == SCAN:
        return scan()
    if cell_name == "mingru":
        return associative() if way == LOOPS else fused()
    return fused(kernels=way == LOOPS)


def _inputs(cell_name: str, shape: tuple[int, ...]) -> tuple:
    t, b, d, h = shape
    draw, drawn = np.random.default_rng(0), jax.eval_shape(lambda: CELLS[cell_name](h).init(jax.random.key(0), d))
    size = lambda x: x.shape[0] ** -0.5  # noqa: E731
    params = jax.tree.map(lambda x: jnp.asarray(size(x) * draw.standard_normal(x.shape), x.dtype), drawn)
    return params, jnp.asarray(draw.standard_normal((t, b, d)), jnp.float32)


def _row(cell_name: str, shape: tuple[int, ...], ways: dict) -> dict:
    """Least seconds of each way, and whether all gave the same."""
    inputs = _inputs(cell_name, shape)
    row: dict = {"shape": list(shape), "same": True}
    for number, what in enumerate(("forward", "both")):
        programs = {way: pair[number] for way, pair in ways.items()}
        results = {way: jax.device_get(program(*inputs)) for way, program in programs.items()}
        row["same"] &= all(_near(result, results[SCAN]) for result in results.values())
        row[what] = _seconds(programs, inputs)
    return row


def _near(result, expected) -> bool:
    pairs = zip(jax.tree.leaves(result), jax.tree.leaves(expected), strict=True)
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
    main(sys.argv[1], int(sys.argv[2]), *map(Path, sys.argv[3:]))
