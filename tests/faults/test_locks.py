"""Promises 7 and 11: two processes on one folder, owners that are gone or far away, and clocks that jump."""

import itertools
import json
import os
import subprocess
import sys
import threading
import time

import pytest
from injectors import ended, kill, litter, small, start, trained, until
from test_kills import run

from rnngen import runtime
from rnngen.runs.train import run as run_config
from rnngen.storage import locks
from rnngen.storage.folder import RunFolder
from rnngen.sweep.progress import status

DAY = 86400


@pytest.fixture
def quick(monkeypatch):
    """Signs of life every tenth of a second."""
    monkeypatch.setattr(locks, "BEAT", 0.1)
    monkeypatch.setattr(locks, "LEAST", 0.3)


def elsewhere(folder, count=0):
    """A lock as a process on another host writes it."""
    found = {"host": "far", "process": 7, "since": "2026-01-01T00:00:00+00:00", "boot": "other", "count": count}
    folder.mkdir(exist_ok=True)
    (folder / "lock.json").write_text(json.dumps(found))


@pytest.mark.slow
def test_the_second_is_refused_and_the_dead_are_followed(tmp_path, faults):
    first = run(tmp_path / "run", 1_000_000)
    until(lambda: len(RunFolder(tmp_path / "run").rows("metrics")) > 2, first)
    said = ended(run(tmp_path / "run", 1_000_000), 2)
    since = locks.owner(tmp_path / "run")["since"]
    assert said == f"rnngen: {tmp_path}/run: in use by process {first.pid} on {os.uname().nodename} since {since}\n"
    kill(first)
    assert locks.owner(tmp_path / "run")["process"] == first.pid
    assert not locks.alive(tmp_path / "run")
    second = run(tmp_path / "run", 1_000_000)
    until(lambda: len(RunFolder(tmp_path / "run").rows("provenance")) == 2, second)
    assert locks.owner(tmp_path / "run")["process"] == second.pid
    assert locks.alive(tmp_path / "run")
    kill(second)
    faults.tell("a second process on a run's folder; its owner killed", 2, [])


def test_of_many_that_want_it_at_once_one_gets_it(tmp_path, faults):
    """Real processes, each of which holds the folder for a moment, if it can, and notes when."""
    program = (
        "import sys, time; from pathlib import Path; from rnngen.storage import locks\n"
        "folder = Path(sys.argv[1]); sys.stdin.readline()\n"
        "for _ in range(40):\n"
        "    with locks.hold(folder, patience=60):\n"
        "        began = time.monotonic_ns(); time.sleep(0.001); print(began, time.monotonic_ns())\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    pipe = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipe) for _ in range(faults.count(3, 8))]
    said = [processes[i].stdin for i in range(len(processes))]
    for stdin in said:
        stdin.write("go\n")
        stdin.flush()
    times = sorted(
        tuple(map(int, line.split())) for p in processes for line in p.communicate(timeout=300)[0].splitlines()
    )
    overlaps = [pair for pair in itertools.pairwise(times) if pair[0][1] > pair[1][0]]
    assert len(times) == 40 * len(processes)
    assert not litter(tmp_path)
    faults.tell("processes that want one folder at once", len(times), overlaps)


def test_an_owner_elsewhere_is_only_followed_when_asked(tmp_path, quick):
    elsewhere(tmp_path)
    with pytest.raises(locks.HeldError, match=r"process 7 on far since 2026.*--take_over=SECONDS"):
        run_config(small(), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["lock.json"]
    with locks.hold(tmp_path, take_over=0.5):
        assert locks.owner(tmp_path)["process"] == os.getpid()
    assert not (tmp_path / "lock.json").exists()


def test_an_owner_elsewhere_that_lives_is_never_followed(tmp_path, quick):
    ended = threading.Event()

    def live():
        count = 0
        while not ended.wait(0.1):
            count += 1
            elsewhere(tmp_path, count)

    elsewhere(tmp_path)
    living = threading.Thread(target=live)
    living.start()
    try:
        with pytest.raises(locks.HeldError, match="which has given a sign of life"):
            with locks.hold(tmp_path, take_over=0.5):
                pass
    finally:
        ended.set()
        living.join()


def test_an_owner_that_was_followed_ends_itself(tmp_path):
    """Frozen for so long that it counted as gone, it must not write over the one that took its place."""
    program = (
        "import sys, time; from pathlib import Path; from rnngen.storage import locks\n"
        "locks.BEAT = 0.1\n"
        "with locks.hold(Path(sys.argv[1])):\n"
        "    print('mine', flush=True); time.sleep(60)\n"
    )
    frozen = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert frozen.stdout.readline() == "mine\n"
    elsewhere(tmp_path)
    _, said = frozen.communicate(timeout=30)
    assert frozen.returncode == 75
    assert "taken over by process 7 on far" in said
    assert locks.owner(tmp_path)["host"] == "far"


def test_one_that_waits_gets_it_when_the_owner_ends(tmp_path):
    with locks.hold(tmp_path):
        waiting = subprocess.Popen(
            [sys.executable, "-c", "import sys; from pathlib import Path; from rnngen.storage import locks\n"
             "with locks.hold(Path(sys.argv[1]), patience=30): print('mine')", str(tmp_path)],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        time.sleep(1)
        assert waiting.poll() is None
    assert waiting.communicate(timeout=30)[0] == "mine\n"


@pytest.mark.slow
@pytest.mark.parametrize("jump", [DAY, -DAY], ids=["forward", "back"])
def test_a_clock_that_jumps_expires_nothing(tmp_path, monkeypatch, quick, faults, jump):
    """A process's clock and the times of all files, a day apart either way."""
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / "program").write_bytes(bytes(1000))
    with locks.hold(tmp_path / "run"):
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + jump)
        for file in (tmp_path / "run" / "lock.json", folder / "program"):
            os.utime(file, (real() - jump, real() - jump))
        with pytest.raises(locks.HeldError):
            with locks.hold(tmp_path / "run", take_over=0.5):
                pass
        runtime.trim(folder, 2**30)
        assert (folder / "program").exists()
    config = small(steps=4)
    trained(tmp_path / "cut", config, 5)
    trained(tmp_path / "cut", config)
    assert RunFolder(tmp_path / "cut").result()["status"] == "finished"
    faults.tell(f"the clock jumps {'forward' if jump > 0 else 'back'} by a day", 3, [])


def test_status_of_a_trial_that_wrote_in_the_future(tmp_path):
    (tmp_path / "sweep.json").write_text('{"config": {}, "trials": [{"id": "a", "overrides": {}, "labels": {}}]}')
    trial = RunFolder(tmp_path / "trials" / "a")
    trial.start({})
    trial.append("metrics", {"step": 2, "split": "train", "loss": 1.0})
    for now in (time.time() - DAY, time.time() + DAY):
        assert "step 2, heard of" in "\n".join(status(tmp_path, now))


@pytest.mark.slow
def test_two_drivers_on_one_sweep(tmp_path):
    with locks.hold(tmp_path / "sweep"):
        said = ended(start("sweep", "--config=configs/sweeps/demo.py", f"--workdir={tmp_path}/sweep"), 2)
    assert f"in use by process {os.getpid()}" in said
    assert not (tmp_path / "sweep").exists()
