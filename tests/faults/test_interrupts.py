"""Ctrl-C in a program of one's own, and a notebook's interrupt: one exception, and the same call goes on."""

import os
import signal
import subprocess
import sys
import threading
import time
import traceback

import pytest
from injectors import CACHE, numbers, small

import rnngen
from rnngen.storage import preemption
from rnngen.storage.preemption import PREEMPTED, Preempted

STEPS = 16


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The numbers of a run that nothing happened to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    train(folder)
    return numbers(folder)


def train(folder, **options):
    config = small(steps=STEPS).to_dict()
    config["diagnose"]["what"] = []
    return rnngen.train(config, folder, **options)


def interrupt(times=1, at=6):
    """A listener that sends as many Ctrl-C at a step, each once the one before was heard."""

    def listen(row):
        if (row["step"], row.get("split")) == (at, "train"):
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
                while not preemption.asked():
                    time.sleep(0.001)

    return listen


def test_ctrl_c_is_one_exception_and_the_same_call_goes_on(tmp_path, undisturbed, capfd):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored, where a script runs the tests in the background
    with pytest.raises(KeyboardInterrupt, match=r"^stopped at step 6; the same call goes on$") as caught:
        train(tmp_path, on_row=interrupt())
    assert "stopped by SIGINT: saving; once more stops it at once" in capfd.readouterr().err
    assert len(traceback.extract_tb(caught.tb)) <= 3  # this test, its helper and rnngen.train
    assert rnngen.open(tmp_path).status == "unfinished"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    run = train(tmp_path)
    assert run.status == "finished"
    assert numbers(tmp_path) == undisturbed


@pytest.mark.slow
def test_twice_it_stops_at_once_and_the_same_call_goes_on(tmp_path, undisturbed):
    with pytest.raises(KeyboardInterrupt) as caught:
        train(tmp_path, on_row=interrupt(times=2))
    assert not isinstance(caught.value, Preempted)
    train(tmp_path)
    assert numbers(tmp_path) == undisturbed


def test_a_users_process_is_not_ended_by_ctrl_c():
    """Nor if it gets to no row in time; it is by SIGTERM, as any process."""
    program = (
        "import os, signal, time; from rnngen.storage import preemption\n"
        "with preemption.listening(grace=0.1, own=False):\n"
        "    signal.raise_signal(signal.SIGINT); time.sleep(0.5); print('alive', flush=True)\n"
        "    signal.raise_signal(signal.SIGTERM); time.sleep(20)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (PREEMPTED, "alive\n")


@pytest.mark.slow
def test_a_thread_trains_whatever_was_asked_before(tmp_path, undisturbed):
    """Signals cannot be set there, and an earlier request was not for it."""
    with preemption.listening():
        preemption.ask("an earlier run was stopped", None)
    found = []
    thread = threading.Thread(target=lambda: found.append(train(tmp_path)))
    thread.start()
    thread.join()
    assert found[0].status == "finished"
    assert numbers(tmp_path) == undisturbed


class Notebook:
    """A kernel, and cells that are run in it one after another."""

    def __init__(self):
        from jupyter_client.manager import start_new_kernel

        self.manager, self.client = start_new_kernel(env=os.environ | CACHE | {"JAX_NUM_CPU_DEVICES": "1"})

    def run(self, code, interrupt_at=""):
        """Run a cell, and return its messages as (type, content); interrupt it once a display shows a text."""
        cell, messages, waiting = self.client.execute(code), [], bool(interrupt_at)
        while True:
            message = self.client.get_iopub_msg(timeout=120)
            messages.append((message["msg_type"], message["content"]))
            shown = message["content"].get("data", {}).get("text/plain", "")
            if waiting and interrupt_at in shown:
                self.manager.interrupt_kernel()
                waiting = False
            own = message["parent_header"].get("msg_id") == cell
            if own and message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return messages


@pytest.fixture(scope="module")
def notebook():
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    opened = Notebook()
    yield opened
    opened.client.stop_channels()
    opened.manager.shutdown_kernel(now=True)


def contents(messages, kind):
    return [content for what, content in messages if what == kind]


SETUP = """
import time, rnngen
from rnngen.config import base_config, component
from rnngen.sweep import axis
config = base_config()
config.cell, config.task = component("rnn", hidden_dim=4), component("latch", length=5)
config.train.update(dict(steps=200, batch_size=4, log_every=2, eval_every=100, save_every=20, eval_batch_size=8))
config.diagnose.update(dict(every=200, examples=4))
"""


@pytest.mark.slow
def test_a_notebooks_interrupt_stops_a_run_and_the_same_cell_goes_on(notebook, tmp_path):
    assert contents(notebook.run(SETUP), "error") == []
    slowly = "on_row=lambda row: time.sleep(0.01)"
    train = f"run = rnngen.train(config, {str(tmp_path / 'run')!r}, {slowly})"
    stopped = notebook.run(train, interrupt_at="training")
    (error,) = contents(stopped, "error")
    assert error["ename"] == "Preempted"
    assert len(error["traceback"]) == 1
    assert "the same call goes on" in error["traceback"][0]
    done = notebook.run(f"{train}\nrun")
    assert contents(done, "error") == []
    assert "finished" in contents(done, "execute_result")[0]["data"]["text/html"]
    bar = contents(done, "update_display_data")[-1]["data"]
    assert "200/200 steps" in bar["text/html"]
    assert "valid loss" in bar["text/plain"]
    assert len(contents(done, "display_data")) == 1  # one output of the cell, which is replaced
    quiet = notebook.run(f"rnngen.train(config, {str(tmp_path / 'again')!r}, progress=False);")
    assert [what for what, _ in quiet if "display" in what or what in ("stream", "error")] == []
    assert numbers(tmp_path / "run") == numbers(tmp_path / "again")


@pytest.mark.slow
def test_a_notebooks_interrupt_stops_a_sweep_and_the_same_cell_goes_on(notebook, tmp_path):
    notebook.run(SETUP)
    sweep = (
        "config.train.update(dict(steps=60000, log_every=100, save_every=1000, eval_every=10000))\n"
        f"sweep = rnngen.sweep.run(config, axis('seed', range(3)), {str(tmp_path / 'sweep')!r}, workers=1)"
    )
    stopped = notebook.run(sweep, interrupt_at="min left")
    (error,) = contents(stopped, "error")
    assert (error["ename"], len(error["traceback"])) == ("Preempted", 1)
    assert not [c for c in contents(stopped, "stream") if "Traceback" in c["text"]]
    alive = notebook.run("1 + 1")
    assert contents(alive, "execute_result")[0]["data"]["text/plain"] == "2"
