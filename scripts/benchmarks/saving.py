"""The cost of saving: training that stands still meanwhile, and a finished sweep that is started again."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from rnngen.config import base_config, build, complete, component, resolve
from rnngen.storage.folder import RunFolder
from rnngen.sweep import axis
from rnngen.sweep.campaign import begin
from rnngen.sweep.driver import FixedTrials, run_trials
from rnngen.sweep.launch import resolve_launch
from rnngen.sweep.plan import claim, plan
from rnngen.training import fit

from .protocol import Bench, BenchError, Options, Row
from .sweeps import Empty
from .tables import interval, number, text
from .timing import compared

TRAINING, STANDING = "training", "standing still to save"
FOUND, COMMAND = "found out", "the whole command, report included"


class Saves(NamedTuple):
    """An LSTM on short sequences, saved every `every` steps: the parameters are many, and the steps quick."""

    hidden_dim: int
    length: int
    steps: int
    every: int


class Finished(NamedTuple):
    """A sweep of so many trials that all have results."""

    trials: int


def cases(options: Options) -> dict[str, Any]:
    """Return a training that saves, and a finished sweep."""
    if options.quick:
        return {"saves": Saves(4, 5, 8, 4), "finished sweep": Finished(12)}
    return {"saves, a million parameters": Saves(498, 20, 400, 100), "finished sweep, 10,000": Finished(10_000)}


def measure(case: Saves | Finished, options: Options) -> list[Row]:
    """Return a row a part of the time."""
    return (_saves if isinstance(case, Saves) else _finished)(case, options)


def _saves(case: Any, options: Options) -> list[Row]:
    config = base_config()
    config.cell, config.task = component("lstm", hidden_dim=case.hidden_dim), component("adding", length=case.length)
    every = {"log_every": case.every, "save_every": case.every, "eval_every": 0}
    config.train.update({"steps": case.steps, "batch_size": 32} | every)
    config.diagnose.what = ()
    resolved, times, parameters = resolve(config), {TRAINING: [], STANDING: []}, 0  # type: ignore[var-annotated]
    experiment = build(resolved)
    for _ in range(options.repeats_or(3)):
        with tempfile.TemporaryDirectory() as name:
            run = RunFolder(name)
            run.start(resolved.to_dict())
            result = fit(experiment, run)
            times[TRAINING].append(result["train_seconds"])
            times[STANDING].append(result["save_seconds"])
            parameters = result["parameters"]
    return [
        row | {"parameters": parameters, "saves": case.steps // case.every} for row in compared(times, _of(TRAINING))
    ]


def _finished(case: Any, options: Options) -> list[Row]:
    times: dict[str, list[float]] = {FOUND: [], COMMAND: []}
    with tempfile.TemporaryDirectory() as name:
        folder, file = Path(name, "sweep"), Path(name, "file.py")
        base, space = complete(base_config()), axis("seed", range(case.trials))
        file.write_text(
            "from rnngen.config import base_config\nfrom rnngen.sweep import axis\nget_config = base_config\n\n\n"
            f"def get_sweep():\n    return axis('seed', range({case.trials}))\n"
        )
        trials = plan(base, space)
        claim(folder, base, trials)
        run_trials(folder, FixedTrials([[trial] for trial in trials]), Empty(), lambda status, trial: None)
        for _ in range(options.repeats_or(3)):
            times[FOUND].append(_timed(lambda: _look(folder, base, space)))
            times[COMMAND].append(_timed(lambda: _again(folder, file)))
    return [row | {"trials": case.trials} for row in compared(times, _of(FOUND))]


def _look(folder: Path, base: dict, space: list) -> None:
    campaign = begin(folder, base, space, resolve_launch(None, 1))
    campaign.executor.shutdown()
    if campaign.left:
        raise BenchError(f"{campaign.left} trials are left of a sweep that is over")


def _again(folder: Path, file: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "rnngen",
        "sweep",
        f"--config={file}",
        f"--workdir={folder}",
        "--workers=1",
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"JAX_PLATFORMS": "cpu"})
    if done.returncode:
        raise BenchError(done.stderr.strip()[-300:])


def _timed(call: Any) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _of(name: str) -> dict[str, str]:
    return {"ratio": name}


BENCH = Bench(
    cases=cases,
    measure=measure,
    columns={"part": text("contender"), "s": number("seconds", 3), "/ the first": interval("ratio")},
)
