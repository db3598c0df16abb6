"""Promises 2 and 3: real processes that are killed at random moments, or asked to stop at chosen ones."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
from injectors import ended, kill, litter, numbers, start, until

from rnngen.storage.folder import RunFolder
from rnngen.storage.preemption import PREEMPTED
from rnngen.training import checkpoint

SAVE = 20
LATCH = [
    "train",
    "--config=configs/latch.py",
    "--config.cell={'name': 'gru', 'kwargs': {'hidden_dim': 8}}",
    "--config.task.kwargs.length=20",
    "--config.task.kwargs.eval_size=100",
    "--config.train.batch_size=4",
    "--config.train.log_every=10",
    f"--config.train.save_every={SAVE}",
    "--config.train.eval_every=100",
    "--config.diagnose.every=500",
]


def run(folder, steps=3000, *more):
    return start(*LATCH, f"--config.train.steps={steps}", f"--workdir={folder}", *more)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The numbers of a run that nothing happened to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    ended(run(folder))
    return numbers(folder)


def trained_to(folder):
    """The last step that the records tell of."""
    return max((row["step"] for row in RunFolder(folder).rows("metrics")), default=0)


def started(folder, number):
    """Whether the process that was started as the number-th has trained."""
    run = RunFolder(folder)
    return len(run.rows("provenance")) >= number and any(row["split"] == "train" for row in run.rows("metrics"))


def what_a_kill_loses(folder):
    """What is wrong with what a killed process left."""
    step, wrong = checkpoint.newest(folder / "checkpoints")
    return wrong + ([f"{trained_to(folder)} - {step}"] if trained_to(folder) - (step or 0) > SAVE else [])


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path, undisturbed, faults):
    """A few in the start of a process, most while it trains and saves."""
    lots, kills, lost = random.Random(0), faults.count(3, 100), []
    folder, lives = tmp_path / "run", 0
    for number in range(kills):
        process = run(folder)
        lives += 1
        if number % 5 == 4:
            time.sleep(lots.uniform(0, 3))
        else:
            until(lambda: RunFolder(folder).result() or started(folder, lives), process)  # noqa: B023
            time.sleep(lots.uniform(0, 0.5))
        kill(process)
        lives = len(RunFolder(folder).rows("provenance"))
        lost += what_a_kill_loses(folder)
        if RunFolder(folder).result() is not None or number == kills - 1:
            ended(run(folder))
            lost += [] if numbers(folder) == undisturbed else [f"other numbers after kill {number}"]
            lost += litter(folder)
            shutil.rmtree(folder)
            lives = 0
    faults.tell("kill -9 of a training that saves meanwhile", kills, lost)


def at_training(folder):
    return trained_to(folder) >= 200


def at_saving(folder):
    return any((folder / "checkpoints").glob("saving_*"))


def at_compilation(folder):
    return (folder / "provenance.jsonl").exists()


def at_evaluation(folder):
    """In the half second or more after the last row of training before it."""
    return any((row["step"], row["split"]) == (100, "train") for row in RunFolder(folder).rows("metrics"))


SLOW_EVALUATION = ["--config.task.kwargs.eval_size=300000", "--config.train.eval_batch_size=1000"]
MOMENTS = {
    "training": (at_training, []),
    "the first compilation": (at_compilation, []),
    "an evaluation": (at_evaluation, SLOW_EVALUATION),
    "a save": (at_saving, []),
}

SHORT = [(signal.SIGTERM, "a save"), (signal.SIGINT, "the first compilation")]


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_asked_to_stop(tmp_path, undisturbed, faults, moment, number):
    if not faults.count((number, moment) in SHORT, True):
        pytest.skip("of the full counts")
    there, more = MOMENTS[moment]
    steps = 200 if more else 3000
    process = run(tmp_path, steps, *more)
    until(lambda: there(tmp_path), process)
    asked, before = time.monotonic(), trained_to(tmp_path)
    kill(process, number)
    said = ended(process, PREEMPTED, 40)
    took = time.monotonic() - asked
    lost = [f"{took:.0f} s"] if took > 30 else []
    at_once, *last = said.splitlines()
    lost += [] if "saving; once more ends it at once" in at_once else [said]
    lost += [] if len(last) == 1 and "the same command goes on" in last[0] else [said]
    step = checkpoint.newest(tmp_path / "checkpoints")[0] or 0
    lost += [] if step == trained_to(tmp_path) >= before else [f"saved at {step}, trained to {trained_to(tmp_path)}"]
    lost += litter(tmp_path)
    ended(run(tmp_path, steps, *more))
    if not more:
        lost += [] if numbers(tmp_path) == undisturbed else ["other numbers"]
    faults.tell(f"{signal.Signals(number).name} during {moment}", 1, lost)


def test_what_comes_to_no_row_in_time_is_ended(tmp_path):
    """A thread hears the signal while the main one is in C, here in minutes of hashing."""
    program = (
        "import hashlib; from rnngen.storage import preemption\n"
        "with preemption.listening(grace=0.3):\n"
        "    print('here', flush=True); hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "here\n"
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == PREEMPTED
    assert said == (
        "rnngen: stopped by SIGTERM: saving; once more ends it at once\n"
        "rnngen: stopped by SIGTERM, and at no row within 0 s; the same command goes on from the last checkpoint\n"
    )


@pytest.mark.slow
def test_a_second_signal_ends_at_once(tmp_path):
    process = run(tmp_path, 3000)
    until(lambda: at_compilation(tmp_path), process)
    kill(process, signal.SIGSTOP)
    kill(process, signal.SIGTERM)
    kill(process, signal.SIGINT)
    asked = time.monotonic()
    kill(process, signal.SIGCONT)
    said = ended(process, PREEMPTED, 20)
    assert "again; the same command goes on" in said
    assert time.monotonic() - asked < 5


@pytest.mark.slow
def test_the_lock_of_the_dead_is_told_of(tmp_path):
    """What a kill leaves of the lock names the process, until the next start."""
    process = run(tmp_path)
    until(lambda: (tmp_path / "lock.json").exists() and at_compilation(tmp_path), process)
    kill(process)
    assert json.loads((tmp_path / "lock.json").read_text())["process"] == process.pid
