"""scripts/bench.py generation: what it writes follows from its times, and characters are drawn on one core."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import jax
import pytest
from test_bench import assert_ratios, measured  # which also puts scripts/ on the path

from rnngen import runtime

from benchmarks import generation  # isort: skip


@pytest.mark.slow
def test_generation(tmp_path):
    printed, record = measured(tmp_path, "generation", "--devices", 1)
    drawn, fed = ([row for row in record["rows"] if row["case"].endswith(kind)] for kind in ("characters", "feed"))
    assert_ratios({"rows": drawn}, ("case",), {"ratio": generation.YOUNG})
    assert_ratios({"rows": fed}, ("case",), {"ratio": generation.TRAINING})
    assert [row["contender"] for row in drawn] == [generation.YOUNG, generation.OLD]
    assert [row["contender"] for row in fed] == [generation.TRAINING, generation.WAITING]
    for row in drawn:
        assert row["a_second"] == pytest.approx(10 / row["seconds"])
    assert 0 <= fed[1]["ratio"] < 1
    assert "characters a second" in printed


def test_characters_are_drawn_on_one_core():
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, initializer=generation._on_one_core) as pool:
        assert pool.submit(runtime.count_cores).result() == 1
        assert pool.submit(jax.device_count).result() == 1


@pytest.mark.parametrize("name", sorted(generation.FEEDING))
def test_made_up_corpora_are_fed_from_the_host(name):
    case = generation.FEEDING[name]._replace(sequences=8, batch_size=2)
    task = generation.made_up(case)
    assert not task.data.on_device
    assert task.data.sizes == {"train": 8, "valid": 4, "test": 4}
    if case.chunk:
        assert task.batches("train", 2) == 8 * case.length // (2 * case.chunk)
    else:
        assert task.steps("train") == case.length
