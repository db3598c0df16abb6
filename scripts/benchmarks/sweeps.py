"""A whole sweep with start-up and compilation, against what users write instead; and the cost of the driver itself.

Two are floors, not contenders. "ideal": the time of the compiled steps of all trials alone, shared out over all
cores. "bare steps": the same steps in two processes that import what they need, compile them and do nothing else.
"""

import itertools
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax

from rnngen import report
from rnngen.config import base_config, complete
from rnngen.runs import open_sweep
from rnngen.runtime import cores
from rnngen.storage.folder import RunFolder
from rnngen.sweep import axis
from rnngen.sweep.driver import FixedTrials, run_trials
from rnngen.sweep.plan import claim, pending, plan

from .bare_steps import compiled_steps
from .contenders import installed
from .protocol import Bench, BenchError, Options, Row
from .tables import interval, number, text
from .timing import compared

HERE = Path(__file__).parent


class Sweep(NamedTuple):
    """Cells times seeds on the adding problem. alone: without what users write instead."""

    cells: tuple[str, ...]
    seeds: int
    length: int
    hidden_dim: int
    batch_size: int
    steps: int
    alone: bool = False


class Driver(NamedTuple):
    """Trials that do nothing."""

    trials: int


def cases(options: Options) -> dict[str, Any]:
    """Return a sweep of some trials, the same with ten times the steps, and a driver of many empty trials."""
    if options.quick:
        return {"sweep": Sweep(("rnn",), 1, 8, 4, 4, 3), "driver": Driver(20)}
    sweep = Sweep(("rnn", "gru", "lstm"), 8, 100, 64, 20, 300)
    return {"sweep": sweep, "longer trials": sweep._replace(steps=3000, alone=True), "driver": Driver(10_000)}


def measure(case: Sweep | Driver, options: Options) -> list[Row]:
    """Return a row a contender, or a row a part of the driver's work."""
    if isinstance(case, Driver):
        return _driver(case, options)
    repeats = options.repeats_or(3)
    calls = {"rnngen sweep": _cold(_rnngen_kept), "rnngen sweep, programs kept": _rnngen_kept}
    if not case.alone:
        calls |= {"flax": _flax} | ({"torch": _torch} if installed(["torch"])[0] else {})
    calls |= {"bare steps": _cold(_bare_kept), "bare steps, programs kept": _bare_kept}
    with tempfile.TemporaryDirectory() as kept:
        _rnngen_kept(case, kept)
        _bare_kept(case, kept)
        times: dict[str, list[float]] = {name: [] for name in calls}
        for repeat in range(repeats):
            for name in list(calls)[repeat % len(calls) :] + list(calls)[: repeat % len(calls)]:
                times[name].append(_timed(name, lambda name=name: calls[name](case, kept)))
        times["ideal"] = [_ideal(case) for _ in range(repeats)]
    return compared(times, {"ratio": "rnngen sweep", "ratio_kept": "rnngen sweep, programs kept"})


def _timed(name: str, call: Any) -> float:
    began = time.perf_counter()
    losses = call()
    spent = time.perf_counter() - began
    if not losses or not all(math.isfinite(loss) and loss < 10 for loss in losses):
        raise BenchError(f"{name} did not train: test losses {losses}")
    return spent


def _cold(call: Callable[[Sweep, str], list[float]]) -> Callable[[Sweep, str], list[float]]:
    """Return the call with an empty cache of programs."""

    def run(case: Sweep, kept: str) -> list[float]:
        with tempfile.TemporaryDirectory() as cache:
            return call(case, cache)

    return run


def _rnngen_kept(case: Sweep, cache: str) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        command = ["-m", "rnngen", "sweep", f"--config={HERE / 'sweep_file.py'}", f"--workdir={folder}"]
        _python(case, command, **_keeping(cache))
        results = [RunFolder(path).result() or {} for path in Path(folder, "trials").iterdir()]
        return [result["metrics"]["test"]["loss"] for result in results]


def _torch(case: Sweep, kept: str) -> list[float]:
    return list(json.loads(_python(case, [str(HERE / "plain_torch.py")])).values())


def _flax(case: Sweep, kept: str) -> list[float]:
    script = str(HERE / "plain_flax.py")
    return [float(_python(case, [script, cell, str(seed)])) for cell in case.cells for seed in range(case.seeds)]


def _bare_kept(case: Sweep, cache: str) -> list[float]:
    """Run the last cell, the slowest, in a process on a core of its own, and the others in one beside it."""
    shares = [share for share in (case.cells[:-1], case.cells[-1:]) if share]

    def start(core: int, share: tuple[str, ...]) -> str:
        return _python(case, [str(HERE / "bare_steps.py"), str(core), *share], **_keeping(cache))

    with ThreadPoolExecutor() as pool:
        return [loss for printed in pool.map(start, itertools.cycle(cores()), shares) for loss in json.loads(printed)]


def _keeping(cache: str) -> dict[str, str]:
    """Return an environment in which all compiled programs are cached in a folder."""
    return {"JAX_COMPILATION_CACHE_DIR": cache, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}


def _python(case: Sweep, arguments: list[str], **environment: str) -> str:
    size = json.dumps(case._asdict())
    given = {name: value for name, value in os.environ.items() if name != "JAX_NUM_CPU_DEVICES"}
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, env=given | environment | {"RNNGEN_BENCH_SWEEP": size}
    )
    if done.returncode:
        raise BenchError(f"{' '.join(arguments[:3])}: {done.stderr.strip()[-300:]}")
    return done.stdout


def _ideal(case: Sweep) -> float:
    """Return seconds of the trials' compiled training steps, each on one core, over all cores."""
    spent, all_cores = 0.0, cores()
    os.sched_setaffinity(0, all_cores[:1])  # compiled loops take all that there are
    try:
        for cell in case.cells:
            compiled, state = compiled_steps(cell, case._asdict())
            began = time.perf_counter()
            jax.block_until_ready(compiled(state))
            spent += time.perf_counter() - began
    finally:
        os.sched_setaffinity(0, all_cores)
    return spent * case.seeds / len(all_cores)


class Empty:
    """An executor whose jobs are over at once, with a small result."""

    slots, lasting, accelerated = 2, False, False

    def submit(self, jobs):
        futures = []
        for job in jobs:
            for config, path in zip(job.configs, job.folders, strict=True):
                run = RunFolder(path)
                run.path.mkdir(parents=True)
                _write(run, config)
            future: Future = Future()
            future.set_result(None)
            futures.append(future)
        return futures

    def shutdown(self):
        pass


def _write(run: RunFolder, config: dict) -> None:
    (run.path / "config.json").write_text(json.dumps(config))
    metrics = {split: {"loss": 0.1} for split in ("train", "valid", "test")}
    facts = {"step": 1, "baseline": 0.167, "half_life": {"initial": 2.0, "final": 3.0}, "solved": False}
    result = {"status": "finished", "metrics": metrics, "train_seconds": 0.0, "compile_seconds": 0.0} | facts
    (run.path / "result.json").write_text(json.dumps(result))


def _driver(case: Driver, options: Options) -> list[Row]:
    base = complete(base_config())
    times: dict[str, list[float]] = {"plan": [], "drive": [], "table": []}
    for _ in range(options.repeats_or(3)):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name, "sweep")
            began = time.perf_counter()
            trials = plan(base, axis("seed", range(case.trials)))
            claim(folder, base, trials)
            todo = pending(folder, trials, False)
            planned = time.perf_counter()
            run_trials(folder, FixedTrials([[trial] for trial in todo]), Empty(), lambda status, trial: None)
            driven = time.perf_counter()
            assert report.summary(open_sweep(folder))["finished"].sum() == case.trials
            times["table"].append(time.perf_counter() - driven)
            times["plan"].append(planned - began)
            times["drive"].append(driven - planned)
    rows = compared(times, {"ratio": "plan"})
    return [row | {"trials": case.trials, "ms_a_trial": 1e3 * row["seconds"] / case.trials} for row in rows]


BENCH = Bench(
    cases=cases,
    measure=measure,
    columns={
        "contender": text("contender"),
        "s": number("seconds", 2),
        "ms a trial": number("ms_a_trial", 2),
        "/ rnngen": interval("ratio"),
        "/ rnngen, programs kept": interval("ratio_kept"),
    },
    notes=lambda options: installed(["torch"])[1],
)
