"""scripts/bench.py saving: what it writes follows from its times, and a sweep that is not over is not timed."""

import pytest
from test_bench import assert_ratios, measured  # which also puts scripts/ on the path

from rnngen.config import base_config, complete
from rnngen.sweep import axis

from benchmarks import saving  # isort: skip


@pytest.mark.slow
def test_saving(tmp_path):
    printed, record = measured(tmp_path, "saving", "--devices", 1)
    saves, finished = ([row for row in record["rows"] if row["case"] == case] for case in ("saves", "finished sweep"))
    assert_ratios({"rows": saves}, ("case",), {"ratio": saving.TRAINING})
    assert_ratios({"rows": finished}, ("case",), {"ratio": saving.FOUND})
    assert [row["contender"] for row in saves] == [saving.TRAINING, saving.STANDING]
    assert all(row["saves"] == 2 and row["parameters"] > 100 for row in saves)
    assert finished[1]["seconds"] > finished[0]["seconds"] > 0
    assert "standing still" in printed


@pytest.mark.slow
def test_a_sweep_that_is_not_over_is_not_timed(tmp_path):
    with pytest.raises(Exception, match="2 trials are left"):
        saving._look(tmp_path / "sweep", complete(base_config()), axis("seed", [0, 1]))
