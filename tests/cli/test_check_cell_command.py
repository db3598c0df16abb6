"""`rnngen check-cell`: a report and status 0, a broken law and status 1, bad input in one line and status 2."""

import inspect
from pathlib import Path

import my_lab
import pytest

from rnngen.cli.main import main


@pytest.fixture(autouse=True)
def faulty_cells(monkeypatch):
    """`faulty` can be imported."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "testing")


def test_a_good_cell(capsys):
    assert main(["check-cell", "my_lab:leaky", "--leak=0.99", "--hidden_dim=4"]) == 0
    said = capsys.readouterr().out
    assert "my_lab:leaky(leak=0.99, hidden_dim=4)\n" in said
    assert "halves every 69 steps" in said  # ln 2 / -ln 0.99
    assert 'all checks pass; in a config: config.cell = component("my_lab:leaky", ...)' in said


@pytest.mark.slow
def test_a_cell_without_parameters(capsys):
    assert main(["check-cell", "my_lab:running_sum"]) == 0
    assert capsys.readouterr().out.splitlines()[-6].startswith("0 parameters")


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("faulty:is_wider_than_it_says", "y is float64[4], and output_dim says [5] (with t=1, b=(), d=1)"),
        ("my_lab:exploding", "raised RuntimeError in my_lab.py, line {line}: this cell cannot step"),
    ],
)
def test_a_broken_cell(capsys, cell, message):
    assert main(["check-cell", cell]) == 1
    said = capsys.readouterr().out
    (line,) = (n for n, text in enumerate(inspect.getsource(my_lab).splitlines(), 1) if "cannot step" in text)
    assert message.format(line=line) in said
    assert said.splitlines()[-1].startswith("broken: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "check-cell: the following arguments are required: NAME"),
        (["my_lab:leeky"], "cell 'my_lab:leeky': my_lab has no 'leeky'; did you mean 'leaky'?"),
        (["nowhere:leaky"], "cell 'nowhere:leaky': cannot import 'nowhere': No module named 'nowhere'"),
        (["lsmt"], "unknown cell 'lsmt'; did you mean 'lstm'?"),
        (
            ["my_lab:leaky", "--lek=0.5"],
            "config.cell.kwargs.lek: my_lab:leaky has no such argument; did you mean 'leak'?",
        ),
        (["my_lab:leaky", "--leak=much"], "config.cell.kwargs.leak: must be float, got 'much'"),
        (["my_lab:not_a_cell"], "my_lab:not_a_cell makes a int, not a Cell"),
        (["faulty:cannot_be_made"], "faulty:cannot_be_made() failed to make a cell: KeyError: 'no such gate'"),
        (["rnn", "--hidden_dim=0"], "hidden_dim must be a positive whole number, got 0"),
        (["rnn", "hidden_dim=3"], "unexpected argument 'hidden_dim=3': arguments of the cell are --NAME=VALUE"),
    ],
)
def test_bad_input_is_one_line(capsys, arguments, message):
    assert main(["check-cell", *arguments]) == 2
    said = capsys.readouterr()
    assert not said.out
    assert message in said.err
    assert said.err.count("\n") == 1
