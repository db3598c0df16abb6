"""Sweeps through submitit: in this process, in processes of this machine, and with the commands of SLURM stood in for.

The commands are those of `slurm_stub`; submitit, the jobs and their signals are real.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sweeps

from rnngen.config import component
from rnngen.runs import load
from rnngen.storage.folder import RunFolder
from rnngen.sweep import axis, chain
from rnngen.sweep.executors import slurm_queue
from rnngen.sweep.executors.slurm import slurm
from rnngen.sweep.launch import make_executor, resolve_launch

pytest.importorskip("submitit", reason="submitit is not installed here")

# submitit leaves the log files of its cluster "debug" open.
pytestmark = pytest.mark.filterwarnings(r"ignore:unclosed file .*/slurm/DEBUG_:ResourceWarning")
SEEDS = axis("seed", [0, 1])
TESTS = Path(__file__).parent.parent
DEADLY = axis("cell", [component("my_lab:deadly", hidden_dim=3)])
LONG = {"steps": 1000, "log_every": 50, "eval_every": 500, "save_every": 50}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Workers find my_lab as a user's workers find the user's module; nobody waits long."""
    monkeypatch.syspath_prepend(str(TESTS))
    monkeypatch.setattr(slurm_queue, "LOOK_EVERY", 0.1)
    monkeypatch.setattr(slurm_queue, "ASK_EVERY", 0.5)
    monkeypatch.setattr(slurm_queue, "PATIENCE", 2.0)


@pytest.fixture
def stub(tmp_path, monkeypatch, request):
    """SLURM's commands on the PATH; returns their folder. Numbers are of each test, since submitit remembers them."""
    folder = tmp_path / "stub"
    folder.mkdir()
    for command in ("sbatch", "srun", "sacct", "scontrol"):
        script = f'#!/bin/sh\nexec {sys.executable} {Path(__file__).parent}/slurm_stub.py {command} "$@"\n'
        (folder / command).write_text(script)
        (folder / command).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("STUB", str(folder))
    monkeypatch.setenv("STUB_FIRST", str(1000 + 100 * (sum(request.node.name.encode()) % 1000)))
    return folder


def test_in_this_process(tmp_path):
    executor = slurm(tmp_path, cluster="debug")
    trials = sweeps.sweep(tmp_path, SEEDS, executor)
    assert sweeps.statuses(tmp_path, trials) == ["finished"] * 2


@pytest.mark.slow
def test_processes_of_this_machine(tmp_path):
    executor = make_executor(resolve_launch({"executor": component("slurm", cluster="local", minutes=5)}), tmp_path)
    assert (executor.lasting, executor.accelerated, executor.slots) == (True, False, 1000)
    trials = sweeps.sweep(tmp_path, chain(axis("seed", [0]), DEADLY), executor)
    assert sweeps.statuses(tmp_path, trials) == ["finished", "failed"]
    assert "its job of SLURM is over without a result" in load(tmp_path, "results")["reason"].tolist()[-1]
    sweeps.sweep(tmp_path / "near", axis("seed", [0]), sweeps.here(1))
    assert sweeps.results(tmp_path, trials[:1]) == sweeps.results(tmp_path / "near", trials[:1])


DRIVER = """
import sys
sys.path[:0] = sys.argv[2:4]
import sweeps
from rnngen.sweep.executors.slurm import slurm
from test_slurm import DEADLY, SEEDS, chain
from pathlib import Path
setup = ("export MADE_BY_SETUP=yes", 'echo "$MADE_BY_SETUP" > "$STUB/$SLURM_ARRAY_TASK_ID.setup"')
executor = slurm(
    Path(sys.argv[1]), workers=2, partition="long", account="lab", minutes=90, memory_gb=1.5, cpus=1, setup=setup
)
sweeps.sweep(Path(sys.argv[1]), chain(SEEDS, DEADLY), executor)
"""


@pytest.mark.slow
def test_jobs_need_no_driver(tmp_path, stub):
    far = tmp_path / "far"
    paths = [str(TESTS), str(Path(__file__).parent)]
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, str(far), *paths])
    _wait(lambda: (far / "slurm" / "jobs.json").exists() or driver.poll() is not None)
    driver.kill()
    assert driver.wait() == -signal.SIGKILL

    # One array was submitted, as asked for.
    script = next(stub.glob("[0-9]*.sh")).read_text()
    for line in ("partition=long", "account=lab", "time=90", "mem=1536MB", "cpus-per-task=1", "array=0-2%2"):
        assert f"#SBATCH --{line}\n" in script
    assert "\n# setup\nexport MADE_BY_SETUP=yes\n" in script
    listed = json.loads((far / "slurm" / "jobs.json").read_text())
    assert sorted(name.split("_")[1] for name in listed.values()) == ["0", "1", "2"]

    # The same again waits for the jobs that are there, and learns what became of them.
    trials = sweeps.sweep(far, chain(SEEDS, DEADLY), slurm(far, workers=2))
    assert (stub / "submissions").read_text().count("\n") == 1
    assert set(listed) == {trial.id for trial in trials}
    assert sweeps.statuses(far, trials) == ["finished", "finished", "failed"]
    assert sweeps.starts(far, trials) == [1, 1, 1]
    reason = load(far, "results")["reason"].tolist()[-1]
    assert reason == f"its job of SLURM is over without a result, {listed[trials[2].id]}: OUT_OF_MEMORY"
    assert (stub / "0.setup").read_text() == "yes\n"
    # One question is about all jobs.
    assert all(question.count("-j ") == 1 for question in (stub / "questions").read_text().splitlines())

    sweeps.sweep(tmp_path / "near", SEEDS, sweeps.here())
    assert sweeps.results(far, trials[:2]) == sweeps.results(tmp_path / "near", trials[:2])


@pytest.mark.slow
def test_a_job_meets_its_time_limit(tmp_path, stub):
    far = tmp_path / "far"
    # Below ten minutes, submitit takes every signal for the time limit.
    executor = slurm(far, minutes=5, requeues=1)
    signalled = []
    executor.submit = _then(executor.submit, lambda: signalled.append(_signal_in_the_middle(far, stub)))
    trials = sweeps.sweep(far, axis("seed", [0]), executor, **LONG)
    assert signalled == [True]
    assert len(list(stub.glob("*.requeued"))) == 1
    assert (stub / "submissions").read_text().count("\n") == 1
    assert sweeps.starts(far, trials) == [2]
    assert sweeps.statuses(far, trials) == ["finished"]
    (log,) = far.glob("trials/*/log.txt")
    assert "this job is timed-out" in log.read_text()

    sweeps.sweep(tmp_path / "near", axis("seed", [0]), sweeps.here(1), **LONG)
    assert sweeps.results(far, trials) == sweeps.results(tmp_path / "near", trials)


def _signal_in_the_middle(far, stub):
    """What SLURM does before the time limit: tell the job, that has some checkpoints by then."""
    _wait(lambda: any(RunFolder(path).rows("metrics")[4:] for path in far.glob("trials/*")))
    (pid,) = stub.glob("*.pid")
    os.kill(int(pid.read_text()), signal.SIGUSR2)
    return not list(far.glob("trials/*/result.json"))


def _then(function, after):
    def both(*arguments):
        result = function(*arguments)
        if arguments[0]:
            after()
        return result

    return both


def _wait(until):
    deadline = time.monotonic() + 120
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_cannot_be_is_refused(tmp_path, monkeypatch, stub):
    with pytest.raises(ValueError, match="minutes must be at least 1, got 0"):
        slurm(tmp_path, minutes=0)
    with pytest.raises(ValueError, match="cluster must be slurm, local or debug, got 'moon'"):
        slurm(tmp_path, cluster="moon")
    (stub / "sbatch").write_text(
        "#!/bin/sh\necho 'sbatch: error: Batch job submission failed: no such part' >&2; exit 1"
    )
    with pytest.raises(ValueError, match="the jobs were not submitted: sbatch: error: Batch job submission failed"):
        sweeps.sweep(tmp_path / "refused", SEEDS, slurm(tmp_path / "refused", partition="nowhere"))
    with monkeypatch.context() as missing:
        missing.setitem(sys.modules, "submitit", None)
        with pytest.raises(ValueError, match=r"^submitit is not installed: pip install 'rnngen\[slurm\]'$"):
            slurm(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ValueError, match=r"^sbatch is not on the PATH: start the sweep on a machine that submits"):
        slurm(tmp_path)
