"""Promise 1: a run that was cut and goes on is the run that was not, to the bit."""

import dataclasses
import shutil

import pytest
from conftest import DATA, FOUR, OWN, READING
from injectors import litter, numbers, small, trained

from rnngen.cells import CELLS
from rnngen.config import component
from rnngen.datasets import TASKS

TEXT = {"source": "python", "chunk": 8}
OF_TASK = {
    "adding": {"length": 6, "eval_size": 20},
    "copy_memory": {"length": 3, "eval_size": 20},
    "latch": {"length": 5, "eval_size": 20},
    "temporal_order": {"length": 10, "eval_size": 20},
    "text": TEXT,
    "music": {"name": "jsb_chorales", "chunk": 16},
    "mnist": {"pixels_per_step": 28},
}
OF_TRAINING = {"text": {"select": "best"}, "mnist": {"eval_batch_size": 1000}}
LATENT = {"latent": component("vrnn", latent_dim=2, feature_dim=4)}
DROPOUT = {"dropout": 0.3, "recurrent_dropout": 0.2}


def kinds():
    """(name, model, cell, task) of every kind of run; the first are those of the short form."""
    yield "streams of text, best kept", DROPOUT, "gru", "text"
    for cell in sorted(CELLS, key=lambda name: (name not in FOUR, name)):
        yield f"{cell} on adding", {}, cell, "adding"
    yield "latent", LATENT, "gru", "music"
    for cell in sorted(FOUR):
        for task in sorted(set(TASKS) - OWN):
            if DATA or task not in READING or task == "text":
                yield f"{cell} on {task}", {}, cell, task


def five(writes):
    """The write in the middle of the first evaluation, the last before the result, and three between."""
    return sorted({0, writes // 4, writes // 2, 3 * writes // 4, writes - 1})


def cut_and_resumed(tmp_path, model, cell, task):
    """What was lost: the cuts after which the numbers are others, or litter is left."""
    config = small(cell, component(task, **OF_TASK.get(task, {})), model=model, **OF_TRAINING.get(task, {}))
    writes = trained(tmp_path / "whole", config)
    whole, lost = numbers(tmp_path / "whole"), []
    points = five(writes)
    for at in points:
        folder = tmp_path / "cut"
        trained(folder, config, at)
        trained(folder, config)
        if numbers(folder) != whole or litter(folder):
            lost.append((cell, task, at))
        shutil.rmtree(folder)
    return len(points), lost


@pytest.mark.slow
def test_resumed_is_uninterrupted_to_the_bit(tmp_path, faults):
    tried, lost = 0, []
    for number, (name, model, cell, task) in enumerate(list(kinds())[: faults.count(3, None)]):
        if name == "latent" and not DATA:
            continue
        points, wrong = cut_and_resumed(tmp_path / str(number), model, cell, task)
        tried, lost = tried + points, lost + wrong
    faults.tell("a cut within a write, an evaluation, a save or a result, then resumed", tried, lost)


@pytest.mark.slow
def test_a_cut_that_is_not_mended_is_seen(tmp_path):
    """The comparison itself: another seed gives other numbers."""
    config = small()
    trained(tmp_path / "a", config)
    trained(tmp_path / "b", dataclasses.replace(config, seed=1))
    assert numbers(tmp_path / "a") != numbers(tmp_path / "b")
