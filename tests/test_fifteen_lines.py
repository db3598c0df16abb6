"""A cell of one's own on arrays of one's own, trained, and a figure of its gradient: fifteen lines of a notebook."""

import runpy
from pathlib import Path

import pytest

LINES = Path(__file__).parent / "fifteen_lines.py"


def test_there_are_fifteen():
    code = [line for line in LINES.read_text().splitlines() if line.strip() and not line.strip().startswith("#")]
    assert len(code) <= 15
    assert max(map(len, code)) <= 120


@pytest.mark.slow
def test_they_run(tmp_path, monkeypatch, store):
    monkeypatch.chdir(tmp_path)
    found = runpy.run_path(str(LINES), run_name="__main__")  # as a notebook's cell is run
    run, figure = found["run"], found["figure"]
    assert run.status == "finished"
    assert run.config["cell"]["name"] == "__main__:leaky"
    assert run.result["metrics"]["test"]["loss"] < run.result["baseline"]
    curves = [line for axes in figure.axes for line in axes.lines if len(line.get_xdata()) > 40]
    assert len(curves) >= 2  # before and after training
