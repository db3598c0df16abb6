"""Parts of one's own, each by `package.module:factory` in a config, through a run."""

from pathlib import Path

import my_lab
import pytest

from rnngen.cli.main import main
from rnngen.config import build, component, resolve
from rnngen.storage.jsonl import read_json, read_rows

ADDING = f"--config={Path(__file__).parents[2]}/configs/adding.py"
SMALL = [
    "--config.cell.name=my_lab:leaky",
    "--config.cell.kwargs={'hidden_dim': 4}",
    "--config.task.name=my_lab:short_latch",
    "--config.task.kwargs={}",
    "--config.train.steps=8",
    "--config.train.log_every=2",
    "--config.train.eval_every=4",
    "--config.train.batch_size=4",
    "--config.train.eval_batch_size=20",
    "--config.diagnose.examples=20",
    "--config.optim.schedule.name=constant",
    "--config.optim.kwargs={}",
]


def train(folder, *options):
    return main(["train", ADDING, f"--workdir={folder}", *SMALL, *options])


def losses(folder):
    return [row["loss"] for row in read_rows(folder / "metrics.jsonl") if row["split"] == "valid"]


def test_all_of_them_in_one_run(tmp_path):
    options = [
        "--config.optim.name=my_lab:backwards",
        "--config.optim.kwargs={'by': 30.0}",
        "--config.optim.schedule.name=my_lab:then_nothing",
        "--config.model.head_init.name=my_lab:halves",
        "--config.diagnose.what=('my_lab:parameter_norm',)",
        "--config.diagnose.every=4",
    ]
    assert train(tmp_path / "run", *options) == 0
    start, middle, end = losses(tmp_path / "run")
    assert start < middle  # it goes up
    assert middle == end  # and then nowhere
    norms = [row["norm"] for row in read_rows(tmp_path / "run" / "diagnoses.jsonl")]
    assert norms[0] != norms[1] == norms[2]
    config = read_json(tmp_path / "run" / "config.json")
    assert config["optim"]["kwargs"] == {"by": 30.0}
    assert config["diagnose"]["what"] == [{"name": "my_lab:parameter_norm", "kwargs": {"squared": False}}]


@pytest.mark.slow
def test_a_regulariser(tmp_path):
    """Of a weight that leaves nothing else to do."""
    heavy = ["--config.optim.regularizer.name=my_lab:weight_decay", "--config.optim.regularizer.kwargs.weight=100.0"]
    options = ["--config.diagnose.what=('my_lab:parameter_norm',)", "--config.optim.name=sgd"]
    norms = {}
    for name, more in {"with": heavy, "without": []}.items():
        assert train(tmp_path / name, *options, *more) == 0
        norms[name] = [row["norm"] for row in read_rows(tmp_path / name / "diagnoses.jsonl")]
    assert norms["with"][-1] < norms["without"][-1]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--config.optim.name=my_lab:backward", "config.optim.name: optimiser 'my_lab:backward': my_lab has no"),
        ("--config.optim.schedule.name=my_lab:nothing", "my_lab has no 'nothing'; did you mean 'then_nothing'?"),
        ("--config.diagnose.what=('my_lab:leaky',)", "leaky needs this argument"),
        ("--config.diagnose.what=('my_lab:halves',)", "my_lab:halves makes a function, not a Diagnosis"),
        ("--config.optim.regularizer.name=my_lab:not_there", "my_lab has no 'not_there'"),
        ("--config.optim.regularizer.name=my_lab:halves", "my_lab:halves makes a function, not a Regularizer"),
        ("--config.optim.name=my_lab:weight_decay", "my_lab:weight_decay takes no learning_rate, as an optimiser does"),
    ],
)
def test_bad_parts_are_one_line(tmp_path, capsys, option, message):
    assert train(tmp_path / "run", option) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_function_is_named_by_its_module():
    assert component(my_lab.leaky, hidden_dim=3) == component("my_lab:leaky", hidden_dim=3)
    with pytest.raises(ValueError, match=r"a component must be a function at the top of its module, got .*<locals>"):
        component(lambda: None)


def test_no_more_examples_are_diagnosed_than_there_are():
    small = {"task": component("latch", length=4, eval_size=10)}
    assert build(resolve(small)).diagnose.examples == 10
    assert build(resolve(small | {"diagnose": {"examples": 4}})).diagnose.examples == 4
