"""A small sweep made by hand, so that every number of it is known."""

import pytest

from rnngen.storage.folder import RunFolder
from rnngen.storage.jsonl import write_json

CELLS, SEEDS, LENGTHS = ("rnn", "lstm"), range(3), (20, 40)
SLOPE = {"rnn": -0.5, "lstm": -0.1}


@pytest.fixture
def sweep(tmp_path):
    trials = []
    for cell in CELLS:
        for length in LENGTHS:
            for seed in SEEDS:
                name = f"{cell}{length}{seed}"
                overrides = {"cell.name": cell, "task.kwargs.length": length, "train.steps": 10 * length, "seed": seed}
                trials.append({"id": name, "overrides": overrides})
                write_run(tmp_path / "trials" / name, cell, length, seed)
    write_json(tmp_path / "sweep.json", {"config": {}, "trials": trials})
    return tmp_path


def write_run(path, cell, length, seed):
    run = RunFolder(path)
    run.start({"cell": {"name": cell}, "task": {"name": "adding", "kwargs": {"length": length}}})
    for step, loss in ((0, 1.0), (100, 0.1 * (seed + 1))):
        run.append("metrics", {"step": step, "split": "valid", "loss": loss})
        curve = [SLOPE[cell] * lag - seed for lag in range(length)]
        curves = {leaf: {"median": curve} for leaf in ("layer_0/h", "all")}
        run.append("diagnoses", {"step": step, "what": "gradient_flow", "curves": curves})
    if (cell, length, seed) == ("rnn", 40, 2):
        run.finish({"status": "failed", "reason": "MemoryError: no room"})
    else:
        half_life = {"initial": 2.0, "final": 10.0 * (seed + 1)}
        run.finish({"status": "finished", "metrics": {"test": {"loss": 0.1 * (seed + 1)}}, "baseline": 0.5,
                    "solved": seed == 0, "half_life": half_life})  # fmt: skip
