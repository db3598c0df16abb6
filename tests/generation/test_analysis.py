"""`rnngen inspect`: a look inside runs that were trained here, and inside a network whose fixed points are known."""

import re
from html import unescape
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import draw_batch
from scipy.optimize import brentq

from rnngen.cells import rnn
from rnngen.cli.main import main
from rnngen.datasets import TASKS
from rnngen.generation.analysis import Subject, fixed_point_record, inspect_run, visited
from rnngen.models.stack import build_model
from rnngen.report import inspect_page
from rnngen.storage.jsonl import read_json

ROOT = Path(__file__).parents[2]
SMALL = [
    "--config.train.log_every=10",
    "--config.train.save_every=20",
    "--config.train.eval_every=20",
    "--config.diagnose.what=()",
]
REST = brentq(lambda h: np.tanh(2 * h) - h, 0.5, 1.0)


def train(folder, config, *options):
    assert main(["train", f"--config={ROOT}/configs/{config}.py", f"--workdir={folder}", *SMALL, *options]) == 0
    return folder


@pytest.fixture(scope="module")
def adding(tmp_path_factory):
    options = ["--config.cell.kwargs.hidden_dim=4", "--config.task.kwargs.length=12", "--config.train.steps=20"]
    return train(tmp_path_factory.mktemp("adding") / "run", "adding", *options, "--config.model.num_layers=2")


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    (folder / "corpus.txt").write_text('A <b>line</b> & "some words" (of it).\n' * 300)
    options = [f"--config.task.kwargs.path={folder}/corpus.txt"]
    options += ["--config.task.kwargs.chunk=16", "--config.cell.kwargs.hidden_dim=8", "--config.train.steps=40"]
    options += ["--config.train.batch_size=4", "--config.train.eval_batch_size=4", "--config.diagnose.examples=2"]
    return train(folder / "run", "char_rnn", *options)


@pytest.mark.slow
def test_a_run_without_text(adding, capsys):
    assert main(["inspect", str(adding)]) == 0
    said = capsys.readouterr().out
    record = read_json(adding / "inspection.json")
    assert record["input"] == record["input"] | {"source": "validation split", "steps": 12, "examples": 32}
    assert record["run"]["cell"].startswith("lstm(")
    assert record["units"]["text"] is None
    for unit in record["units"]["found"]:
        assert re.fullmatch(r"layer_[01]/[ch]\[[0-3]\]", unit["unit"])
        assert len(unit["activation"]) == len(unit["value"]) == 12
    shares = np.asarray(record["connectivity"]["shares"])
    assert record["connectivity"]["predictions"] == [11]
    assert shares.shape == (1, 12)
    assert shares.max() == 1
    assert sorted(record["gates"]["gates"]) == [f"layer_{n}/{gate}" for n in (0, 1) for gate in "fio"]
    assert len(record["eigenvalues"]["kernel"]) == 8
    assert len(record["flow"]["curves"]["all"]["median"]) == 12
    html = (adding / "inspect.html").read_text()
    for name in ("units", "connectivity", "gates", "eigenvalues", "flow", "fixed_points"):
        assert (adding / "figures" / f"inspect_{name}.png").exists()
        assert f'id="inspect_{name}"' in html
    assert str(adding / "inspect.html") in said


@pytest.mark.slow
def test_a_text_is_shaded_and_escaped(text):
    assert main(["inspect", str(text), "--steps=200"]) == 0
    record = read_json(text / "inspection.json")
    assert record["input"]["steps"] == 200
    shown = record["units"]["text"]
    assert len(shown) == 200
    assert '<b>line</b> & "some words"' in shown
    assert len(record["connectivity"]["predictions"]) == 64
    shares = np.asarray(record["connectivity"]["shares"])
    columns = record["connectivity"]["first"] + np.arange(shares.shape[1])
    assert (shares[columns[None] > np.asarray(record["connectivity"]["predictions"])[:, None]] == 0).all()
    html = (text / "inspect.html").read_text()
    plain = re.sub(r"</?span[^>]*>", "", html)
    assert '<b>line</b> & "some words" (of it).\u21b5<br>' in unescape(plain)
    assert "<b>line" not in plain
    assert not (text / "figures" / "inspect_units.png").exists()


@pytest.mark.slow
def test_a_text_of_ones_own(text):
    given = "A line (of some words)." * 4
    assert main(["inspect", str(text), f"--text={given}"]) == 0
    record = read_json(text / "inspection.json")
    assert record["input"]["source"] == "given"
    assert record["units"]["text"][1:] == given[:-1]  # each is predicted from those before it
    (text / "mine.txt").write_text(given)
    assert main(["inspect", str(text), f"--file={text}/mine.txt"]) == 0
    assert read_json(text / "inspection.json") == record


@pytest.mark.slow
def test_the_page_is_made_of_the_record_alone(adding, tmp_path):
    main(["inspect", str(adding)])
    copy = tmp_path / adding.name
    copy.mkdir()
    (copy / "inspection.json").write_bytes((adding / "inspection.json").read_bytes())
    inspect_page.write(copy)
    assert (copy / "inspect.html").read_text() == (adding / "inspect.html").read_text()


def known(weight=2.0):
    """Two tanh units that turn each to itself, and to nothing that enters."""
    task = TASKS["adding"](12, eval_size=20)
    model = build_model([rnn(2)], task.data.input_spec, task.objective.head, task.objective.loss)
    params = model.init(jax.random.key(0))
    layer = {"kernel": jnp.full((2, 2), 0.0), "recurrent_kernel": weight * jnp.eye(2), "bias": jnp.zeros(2)}
    return Subject(model, params | {"layer_0": layer}, draw_batch(task, size=4), task, None, "made up")


@pytest.mark.slow
def test_the_fixed_points_of_a_known_network():
    # States that are spread, as a trajectory from zero without input would not be.
    states = np.random.RandomState(0).uniform(-1.1, 1.1, size=(12, 4, 2)).astype(np.float32)
    found = fixed_point_record(known(), states)
    assert found["starts"] == 48
    assert {point["kind"] for point in found["points"]} == {"fixed"}
    growing = sorted(point["growing"] for point in found["points"])
    assert growing == [0] * 4 + [1] * 4 + [2]
    corner = next(point for point in found["points"] if point["growing"] == 0)
    np.testing.assert_allclose(corner["eigenvalues"]["real"], 2 * (1 - REST**2), rtol=1e-4)
    assert corner["time_constant"] == pytest.approx(-1 / np.log(2 * (1 - REST**2)), rel=1e-4)
    # The plane of two components is a rotation of the two units.
    assert np.hypot(*corner["place"]) > 1.0


def test_a_carry_that_is_too_large_is_left_out(monkeypatch):
    monkeypatch.setattr("rnngen.generation.analysis.LARGEST_CARRY", 1)
    assert fixed_point_record(known(), np.zeros((12, 4, 2)))["left_out"].startswith("the carry has 2 numbers")


def test_visited_states_are_those_after_each_step():
    subject = known(0.5)
    params = subject.params | {"layer_0": subject.params["layer_0"] | {"bias": jnp.array([0.1, -0.2])}}
    states, names = visited(subject._replace(params=params))
    assert names == ["layer_0[0]", "layer_0[1]"]
    h = np.zeros(2)
    for state in states[:, 0]:
        h = np.tanh(0.5 * h + [0.1, -0.2])
        np.testing.assert_allclose(state, h, rtol=1e-5)


@pytest.mark.slow
def test_masked_steps_belong_to_nothing():
    subject = known()
    mask = jnp.ones((12, 4), bool).at[6:, 0].set(False)
    record = inspect_run(subject._replace(batch=subject.batch._replace(mask=mask)))
    assert record["input"]["examples"] == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "inspect: the following arguments are required: RUN"),
        (["{run}", "--text=a", "--file=b"], "give --text or a file of it, not both"),
        (["{run}", "--stpes=3"], "inspect: unknown option '--stpes'; did you mean '--steps'?"),
        (["{run}", "--steps=1"], "--steps: must be a whole number of at least 2, got '1'"),
        (["{run}/.."], "holds no run (config.json)"),
        (["{run}", "--text=?"], "which is not in the vocabulary"),
        (["{run}", "--text=A"], "fewer than two steps"),
        (["{run}", "--file=nowhere.txt"], "nowhere.txt"),
    ],
)
def test_bad_input_is_one_line(text, capsys, arguments, message):
    assert main(["inspect", *(a.format(run=text) for a in arguments)]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


@pytest.mark.slow
def test_what_cannot_be_looked_at(tmp_path, capsys):
    options = ["--config.cell.kwargs.hidden_dim=4", "--config.task.kwargs.length=6", "--config.train.steps=20"]
    train(tmp_path / "both", "adding", *options, "--config.model.bidirectional", "--config.diagnose.what=()")
    assert main(["inspect", str(tmp_path / "both")]) == 2
    assert "which a model that reads both ways does not allow" in capsys.readouterr().err
