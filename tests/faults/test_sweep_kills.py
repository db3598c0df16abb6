"""Promises 8 and 9: a sweep whose driver or worker is killed ends with the table of one that nothing happened to."""

import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
from injectors import ended, kill, litter, start, until

from rnngen import report
from rnngen.runs import load, open_sweep
from rnngen.storage.folder import RunFolder

FILE = """
from rnngen.config import base_config, component
from rnngen.sweep import axis, product, {imports}


def get_config():
    config = base_config()
    config.cell = component("rnn", hidden_dim=4)
    config.task = component("latch", length=8, eval_size=50)
    config.train.update({{"steps": 300, "log_every": 10, "eval_every": 100, "save_every": 50, "batch_size": 4}})
    config.diagnose.what, config.diagnose.examples = (), 8
    return config


def get_sweep():
    return {space}
"""
GRID = FILE.format(imports="zipped", space='product(axis("cell.name", ["rnn", "gru"]), axis("seed", range(3)))')
SEARCH = FILE.format(
    imports="loguniform, search",
    space='search("tpe", space={"optim.learning_rate": loguniform(1e-3, 1e-1)}, metric="loss", mode="min", trials=6)',
)


def sweep(tmp_path, folder, text=GRID, workers=2):
    (tmp_path / "sweep.py").write_text(text)
    return start("sweep", f"--config={tmp_path}/sweep.py", f"--workdir={folder}", f"--workers={workers}")


def outcome(folder):
    """The table, and all results but for times."""
    results = load(folder, "results")
    untimed = results.drop(columns=[name for name in results if "seconds" in name or "per_second" in name])
    return report.summary(open_sweep(folder)).to_csv(), untimed.to_csv()


def rows(folder):
    return sum(len(RunFolder(trial).rows("metrics")) for trial in folder.glob("trials/*"))


def what_was_lost(folder, expected):
    lost = [] if outcome(folder) == expected else ["another table"]
    doubled = [t.name for t in folder.glob("trials/*") if repeated(RunFolder(t).rows("metrics"))]
    return lost + doubled + litter(folder)


def repeated(rows):
    return len({(row["step"], row["split"]) for row in rows}) < len(rows)


def workers(process):
    """The worker processes of a driver, each started by a thread of it."""
    listed = [pid for task in Path(f"/proc/{process.pid}/task").glob("*/children") for pid in task.read_text().split()]
    return [int(pid) for pid in listed if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.mark.slow
def test_drivers_and_workers_are_killed(tmp_path, faults):
    """Each sweep loses two workers and two drivers; the second driver begins while workers of the first still train."""
    ended(sweep(tmp_path, tmp_path / "whole"))
    expected, folder, lots = outcome(tmp_path / "whole"), tmp_path / "out", random.Random(0)
    total, sweeps, lost = rows(tmp_path / "whole"), faults.count(1, 5), []
    for _ in range(sweeps):
        for shares in ((0.1, 0.3), (0.5, 0.7)):
            process = sweep(tmp_path, folder)
            until(lambda: rows(folder) > total * shares[0] and len(workers(process)) == 2, process, every=0.05)  # noqa: B023
            os.kill(lots.choice(workers(process)), signal.SIGKILL)
            until(lambda: rows(folder) > total * shares[1], process, every=0.05)  # noqa: B023
            time.sleep(lots.uniform(0, 0.5))
            kill(process)
        ended(sweep(tmp_path, folder))
        lost += what_was_lost(folder, expected)
        shutil.rmtree(folder)
    faults.tell("a sweep's driver killed", 2 * sweeps, lost)
    faults.tell("a worker of a sweep killed", 2 * sweeps, lost)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["killed", "deleted"])
def test_a_search_is_rebuilt_from_its_trials(tmp_path, faults, what):
    """There is no study but in the driver; all that it knew is in the folders."""
    if what == "killed" and not faults.count(0, 1):
        pytest.skip("of the full counts")
    ended(sweep(tmp_path, tmp_path / "whole", SEARCH, 1))
    process, folder = sweep(tmp_path, tmp_path / "cut", SEARCH, 1), tmp_path / "cut"
    until(lambda: len(list(folder.glob("trials/*/result.json"))) > 2, process, every=0.05)
    kill(process)
    if what == "deleted":  # all that is not a trial's but the list of what was asked for
        for file in folder.iterdir():
            if file.is_file() and file.name != "sweep.json":
                file.unlink()
    ended(sweep(tmp_path, folder, SEARCH, 1))
    lost = what_was_lost(folder, outcome(tmp_path / "whole"))
    faults.tell(f"a search's driver {what}", 1, lost)
