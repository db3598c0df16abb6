"""Rows beside the run folder: to TensorBoard, to a hook, and to one that fails."""

import pytest

from rnngen.config import base_config, component, resolve
from rnngen.runs.train import run, run_pack
from rnngen.storage.folder import RunFolder
from rnngen.storage.trackers import check


def config(seed=0):
    made = base_config()
    made.seed = seed
    made.cell = component("rnn", hidden_dim=3)
    made.task = component("my_lab:short_latch", length=5)
    made.train.update(steps=4, batch_size=4, log_every=2, eval_every=2)
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


def test_names_that_cannot_be(monkeypatch):
    with pytest.raises(ValueError, match="unknown tracker 'tensorbord'; did you mean 'tensorboard'"):
        check(["tensorbord"])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"tensorboardX is not installed: pip install 'rnngen\[tensorboard\]'"):
        check(["tensorboard"])
