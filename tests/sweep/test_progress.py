"""What a person sees of a training and of a sweep under way."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from rnngen.cli.bar import Bar
from rnngen.runs import bar
from rnngen.runs.bar import TrainingBar
from rnngen.storage.folder import RunFolder
from rnngen.sweep.progress import Part, Progress

ROW = {"split": "valid", "loss": 1.0}


def begin(folder, name, *steps):
    run = RunFolder(folder / "trials" / name)
    run.start({"train": {"steps": 8}})
    for step in steps:
        run.append("metrics", ROW | {"step": step})
    return run


def test_the_last_step_is_read_off_the_end_of_the_file(tmp_path):
    run = begin(tmp_path, "a")
    assert run.last_step() is None
    for step in range(2000):  # more than is read
        run.append("metrics", ROW | {"step": step})
    assert run.last_step() == 1999
    with open(run.path / "metrics.jsonl", "a") as file:
        file.write('{"step": 2000, "spl')
    assert run.last_step() == 1999


def test_trials_count_by_how_far_they_are(tmp_path):
    part = Part(tmp_path)
    assert part.trained() == 0
    begin(tmp_path, "a")
    assert part.trained() is None  # it is being compiled
    begin(tmp_path, "b", 0, 2)
    assert part.trained() == 2 / 8
    begin(tmp_path, "a", 0, 4)
    assert part.trained() == 6 / 8
    begin(tmp_path, "b").finish({"status": "finished"})
    assert part.trained() == 4 / 8


@pytest.fixture
def screen(monkeypatch):
    """A terminal that remembers."""
    seen = io.StringIO()
    monkeypatch.setattr(bar, "Console", lambda: Console(file=seen, force_terminal=True, width=100))
    return seen


def test_a_sweeps_bar_says_what_is_going_on(tmp_path, screen):
    executor = SimpleNamespace(slots=2)
    campaign = SimpleNamespace(folder=tmp_path, total=4, left=4, executor=executor, metric="loss", mode="min")
    campaign.score = lambda trial: 0.5
    with Progress(campaign) as shown:
        assert shown._state(None) == "2 running, compiling"
        begin(tmp_path, "a", 0, 4)
        shown._watch_once()
        assert shown._display.task.completed == 0.5
        assert "left" in shown._state(0.5)
        shown.over("finished", SimpleNamespace(id="a", overrides={}, labels={}))
    assert shown._display.task.completed == 1


def test_a_trainings_bar_shows_rows_and_counts_steps(screen):
    with Bar(8) as bar:
        bar.begin()
        assert bar.display.task.description == "compiling"
        bar.row(ROW | {"step": 0})
        bar.row({"split": "train", "step": 4, "loss": 0.25})
        assert (bar.display.task.description, bar.display.task.completed) == ("training", 4)
        bar.row({"split": "train", "step": 8, "loss": 0.125})
        bar.row({"what": "gradient_flow", "step": 8, "half_life": {"all": {"steps": 3.0}}})
        assert bar.display.task.completed == 8
    shown = screen.getvalue()
    assert "       4  train   loss 0.25" in shown
    assert "       8  gradient_flow: half-life 3 steps" in shown


def test_without_a_terminal_there_are_lines_alone(capsys):
    with Bar(8) as bar:
        bar.begin()
        bar.row(ROW | {"step": 0})
    caught = capsys.readouterr()
    assert (caught.out, caught.err) == ("compiling\n       0  valid   loss 1\n", "")


@pytest.mark.parametrize("wanted", [True, False])
def test_in_a_program_there_is_a_bar_on_a_terminal_if_it_is_wanted(screen, wanted):
    with TrainingBar(8, wanted) as bar:
        bar.begin()
        bar.row(ROW | {"step": 0})
        bar.row({"split": "train", "step": 4, "loss": 0.25})
    said = screen.getvalue()
    assert ("valid loss 1" in said, "4/8 steps" in said) == (wanted, wanted)
    assert "0.25" not in said  # rows are the command's


def test_in_a_program_without_a_terminal_there_is_nothing(capsys, tmp_path):
    executor = SimpleNamespace(slots=2)
    campaign = SimpleNamespace(folder=tmp_path, total=4, left=4, executor=executor, metric="loss", mode="min")
    campaign.score = lambda trial: 0.5
    with TrainingBar(8) as bar, Progress(campaign, lines=False) as shown:
        bar.begin()
        bar.row(ROW | {"step": 0})
        shown.over("failed", SimpleNamespace(id="a", overrides={}, labels={}))
    caught = capsys.readouterr()
    assert (caught.out, caught.err) == ("", "")
