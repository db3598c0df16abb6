"""Rows beside the run folder: to TensorBoard, W&B and MLflow, to a hook, to one that fails and to one that is slow."""

import json
import os
import subprocess
import sys
import time

import pytest

from rnngen.config import base_config, component, resolve
from rnngen.runs.train import run, run_pack
from rnngen.storage import trackers
from rnngen.storage.folder import RunFolder
from rnngen.storage.trackers import Trackers, check, numbers


def config(seed=0, steps=4):
    made = base_config()
    made.seed = seed
    made.cell = component("rnn", hidden_dim=3)
    made.task = component("my_lab:short_latch", length=5)
    made.train.update(steps=steps, batch_size=4, log_every=2, eval_every=2)
    made.diagnose.examples = 4
    return resolve(made)


@pytest.mark.slow
def test_a_hook_gets_every_row_and_is_closed(tmp_path):
    run(config(), tmp_path, log=["my_lab:collecting"])
    folder = RunFolder(tmp_path)
    told = (tmp_path / "collected.txt").read_text().splitlines()
    expected = [f"{row['step']} {row['split']}" for row in folder.rows("metrics")]
    assert sorted(told) == sorted([*expected, "0 gradient_flow", "4 gradient_flow", "closed"])
    assert told[-1] == "closed"


@pytest.mark.slow
def test_packed_runs_have_a_hook_each(tmp_path):
    paths = [str(tmp_path / name) for name in "ab"]
    run_pack([config(0), config(1)], paths, lambda path, error: pytest.fail(str(error)), log=["my_lab:collecting"])
    a, b = ((tmp_path / name / "collected.txt").read_text().splitlines() for name in "ab")
    assert a == b
    assert len(a) > 5


@pytest.mark.slow
def test_a_hook_that_fails_is_dropped_and_the_run_goes_on(tmp_path, capsys):
    assert run(config(), tmp_path, log=["my_lab:failing", "my_lab:collecting"])["status"] == "finished"
    assert capsys.readouterr().err == "rnngen: tracker my_lab:failing dropped: ConnectionError: no route to host\n"
    assert (tmp_path / "collected.txt").read_text().endswith("closed\n")


def test_tensorboard_has_the_numbers(tmp_path):
    pytest.importorskip("tensorboardX", reason="needs tensorboardX")
    from tensorboardX.proto.event_pb2 import Event

    run(config(), tmp_path, log=["tensorboard"])
    (file,) = (tmp_path / "tensorboard").iterdir()
    found = {}
    for record in records(file.read_bytes()):
        event = Event.FromString(record)
        found |= {(value.tag, event.step): value.simple_value for value in event.summary.value}
    rows = [row for row in RunFolder(tmp_path).rows("metrics") if row["split"] == "valid"]
    assert len(rows) == 3
    for row in rows:
        assert found["loss/valid", row["step"]] == pytest.approx(row["loss"], rel=1e-6)


def records(data):
    """Payloads of a TFRecord file: length (8 bytes), its checksum (4), payload, its checksum (4)."""
    while data:
        size = int.from_bytes(data[:8], "little")
        yield data[12 : 12 + size]
        data = data[16 + size :]


def logged(row):
    """What a tracker has of a row, as JSON has it."""
    return {name: pytest.approx(value) for name, value in numbers(row).items()}


def rows_of(folder):
    return [*RunFolder(folder).rows("metrics"), *RunFolder(folder).rows("diagnoses")]


def test_numbers_are_named_by_what_they_are_of_and_finite():
    row = {"step": 2, "split": "valid", "loss": 0.5, "accuracy": float("nan"), "seconds": 3.0}
    assert numbers(row) == {"loss/valid": 0.5}
    row = {
        "step": 2,
        "what": "gradient_flow",
        "half_life": {"all": {"steps": 7.0, "low": float("inf")}},
        "norms": [1.0],
    }
    assert numbers(row) == {"gradient_flow/half_life.all.steps": 7.0}


def wandb_records(folder):
    """The records of a folder's offline runs, one list a start; its service may still be writing the last of them."""
    until = time.monotonic() + 10
    while True:
        starts = [[*records_of(file)] for file in sorted(folder.glob("wandb/offline-run-*/*.wandb"))]
        if all("exit" in {one.WhichOneof("record_type") for one in start} for start in starts):
            return starts
        assert time.monotonic() < until
        time.sleep(0.05)


def records_of(file):
    """The records of a file of W&B.

    It has seven bytes, then LevelDB's log: blocks of 32 KB of chunks, each with a checksum (4), its length (2) and
    its kind (1): 1 whole, 2 first, 3 middle, 4 last.
    """
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, whole = file.read_bytes(), 7, b""
    while at + 7 <= len(data):
        left = 2**15 - at % 2**15
        if left < 7:
            at += left
            continue
        size, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        if at + 7 + size > len(data):  # not all written yet
            return
        whole += data[at + 7 : at + 7 + size]
        if kind in (1, 4):
            yield Record.FromString(whole)
            whole = b""
        at += 7 + size


def wandb_history(records):
    """{step: numbers} of a start."""
    rows = [record.history for record in records if record.WhichOneof("record_type") == "history"]
    items = [{(i.key or "/".join(i.nested_key)): json.loads(i.value_json) for i in row.item} for row in rows]
    return {row["_step"]: {name: v for name, v in row.items() if not name.startswith("_")} for row in items}


@pytest.mark.slow
def test_wandb_offline_has_the_numbers_and_goes_on_with_the_run(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="needs wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    folder = tmp_path / "mine" / "trials" / "ab"
    run(config(), folder, log=["wandb"])
    run(config(steps=8), folder, log=["wandb"])
    first, second = wandb_records(folder)
    for records, steps in ((first, (0, 2, 4)), (second, (6, 8))):
        (made,) = (record.run for record in records if record.WhichOneof("record_type") == "run")
        assert made.run_id == (folder / "wandb.id").read_text().strip()
        assert (made.project, made.run_group, made.display_name) == ("rnngen", "mine", "ab")
        assert {"seed", "cell", "train"} <= {update.key for update in made.config.update}
        history = wandb_history(records)
        assert tuple(history) == steps
        for row in rows_of(folder):
            if row["step"] in steps and not (row["step"] == 4 and row.get("split") == "test"):
                assert {name: history[row["step"]][name] for name in numbers(row)} == logged(row)
        assert [record.exit.exit_code for record in records if record.WhichOneof("record_type") == "exit"] == [0]


@pytest.mark.slow
def test_a_pack_has_a_wandb_run_for_each(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="needs wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    paths = [tmp_path / name for name in "ab"]
    run_pack([config(0), config(1)], paths, lambda path, error: pytest.fail(str(error)), log=["wandb"])
    for path in paths:
        (records,) = wandb_records(path)
        history = wandb_history(records)
        for row in rows_of(path):
            assert {name: history[row["step"]][name] for name in numbers(row)} == logged(row)
    assert len({(path / "wandb.id").read_text() for path in paths}) == 2


def test_wandb_without_a_login_is_refused_before_the_training(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb", reason="needs wandb")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setattr(wandb, "login", lambda prompt: prompt)
    with pytest.raises(ValueError, match=r"wandb is not logged in: run `wandb login`, or set WANDB_MODE=offline"):
        check(["wandb"])
    monkeypatch.setenv("WANDB_MODE", "offline")
    check(["wandb"])


def mlflow_run(folder):
    from mlflow import MlflowClient

    return MlflowClient().get_run((folder / "mlflow.id").read_text().strip())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # MLflow's own, of SQLAlchemy
@pytest.mark.parametrize("store", ["sqlite:///{}/mlflow.db", "file:{}/mlruns"])
def test_mlflow_has_the_numbers_and_goes_on_with_the_run(tmp_path, monkeypatch, store):
    pytest.importorskip("mlflow", reason="needs mlflow")
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.format(tmp_path))
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    folder = tmp_path / "mine" / "trials" / "ab"
    run(config(), folder, log=["mlflow"])
    assert mlflow_run(folder).data.params["train.steps"] == "4"
    run(config(steps=8), folder, log=["mlflow"])
    found = mlflow_run(folder)
    assert (found.info.status, found.info.run_name, found.data.tags["sweep"]) == ("FINISHED", "ab", "mine")
    assert found.data.params["cell.kwargs.hidden_dim"] == "3"
    assert found.data.tags["train.steps"] == "8"  # MLflow changes no parameter
    for name in ("loss/valid", "loss/train", "loss/test"):
        rows = [row for row in RunFolder(folder).rows("metrics") if name == f"loss/{row['split']}"]
        history = MlflowClient().get_metric_history(found.info.run_id, name)
        assert [(one.step, one.value) for one in history] == [(row["step"], row["loss"]) for row in rows]


LOGS_ONE_ROW = """import sys, pathlib
from rnngen.storage.trackers import Trackers
folder = pathlib.Path(sys.argv[1])
tracker = Trackers(["mlflow"], folder, {"cell": {"name": "rnn"}})
tracker({"step": 1, "split": "valid", "loss": 0.5})
tracker.close()
"""


@pytest.mark.slow
def test_workers_that_begin_at_once_make_one_database_of_mlflow(tmp_path):
    pytest.importorskip("mlflow", reason="needs mlflow")
    environment = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db"}
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()
    begun = [
        subprocess.Popen(
            [sys.executable, "-c", LOGS_ONE_ROW, folder], env=environment, stderr=subprocess.PIPE, text=True
        )
        for folder in folders
    ]
    assert "dropped" not in "".join(process.communicate()[1] for process in begun)
    assert len({(folder / "mlflow.id").read_text() for folder in folders}) == 3


def test_a_slow_tracker_holds_no_training_up_and_gets_every_row(tmp_path):
    trackers_of = Trackers(["my_lab:slow_tracker"], tmp_path, {})
    began = time.monotonic()
    for step in range(5):
        trackers_of({"step": step, "split": "valid", "loss": 1.0})
    assert time.monotonic() - began < 0.2
    trackers_of.close()
    assert time.monotonic() - began > 0.5
    assert (tmp_path / "seen.txt").read_text() == "01234"


def test_the_end_of_a_run_does_not_wait_for_ever(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(trackers, "CLOSING", 0.2)
    tracker = Trackers(["my_lab:slow_tracker"], tmp_path, {})
    for step in range(20):
        tracker({"step": step, "split": "valid", "loss": 1.0})
    tracker.close()
    assert capsys.readouterr().err == "rnngen: tracker my_lab:slow_tracker is not done after 0 s\n"


def test_names_that_cannot_be(monkeypatch):
    with pytest.raises(ValueError, match="unknown tracker 'tensorbord'; did you mean 'tensorboard'"):
        check(["tensorbord"])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for name, module in {"tensorboard": "tensorboardX", "wandb": "wandb", "mlflow": "mlflow"}.items():
        with pytest.raises(ValueError, match=rf"{module} is not installed: pip install 'rnngen\[{name}\]'"):
            check([name])


def test_a_folder_of_a_trackers_name_is_no_installation(tmp_path, monkeypatch):
    (tmp_path / "some_tracker").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(trackers.NEEDS, "my_lab:collecting", ("some_tracker", "some"))
    with pytest.raises(ValueError, match="some_tracker is not installed"):
        check(["my_lab:collecting"])


def test_a_library_that_cannot_be_imported_drops_its_tracker_alone(tmp_path, monkeypatch, capsys):
    (tmp_path / "broken_tracker.py").write_text("raise ImportError('it is not whole')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(trackers.NEEDS, "my_lab:collecting", ("broken_tracker", "broken"))
    tracker = Trackers(["my_lab:collecting", "my_lab:slow_tracker"], tmp_path, {})
    tracker({"step": 3, "split": "valid", "loss": 1.0})
    tracker.close()
    assert capsys.readouterr().err == "rnngen: tracker my_lab:collecting dropped: ImportError: it is not whole\n"
    assert (tmp_path / "seen.txt").read_text() == "3"
