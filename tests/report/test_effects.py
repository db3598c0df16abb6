"""The figure of each axis's effect, against records made by hand."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from rnngen.report import summary, write
from rnngen.report.effects import axis_effects
from rnngen.runs import open_sweep
from rnngen.storage.folder import RunFolder
from rnngen.storage.jsonl import read_json, write_json

pytest_plugins = ["handmade_sweep"]

CELLS = ("rnn", "lstm")


def finish(folder, trial, **changes):
    """Change a trial's result."""
    run = RunFolder(folder / "trials" / trial)
    run.finish(run.result() | changes)


def lines_of(axes, marker):
    return next(line for line in axes.get_lines() if line.get_marker() == marker)


def test_effects_are_medians_over_everything_else(sweep):
    losses = {"rnn20": [1.0, 2.0, 7.0], "rnn40": [4.0, 5.0], "lstm20": [0.1, 0.2, 0.3], "lstm40": [0.4, 0.5, 90.0]}
    for setting, values in losses.items():
        for seed, loss in enumerate(values):
            finish(sweep, f"{setting}{seed}", metrics={"test": {"loss": loss}})
    cell, length = axis_effects(open_sweep(sweep)).axes
    medians = lines_of(cell, "_")
    assert list(medians.get_ydata()) == [4.0, 0.35]  # of 1 2 4 5 7, and of 0.1 0.2 0.3 0.4 0.5 90
    assert [text.get_text() for text in cell.get_xticklabels()] == ["rnn", "lstm"]
    assert list(lines_of(length, "_").get_xdata()) == [20, 40]
    assert list(lines_of(length, "_").get_ydata()) == [0.65, 4.0]  # of 0.1 0.2 0.3 1 2 7, and of 0.4 0.5 4 5 90
    assert len(lines_of(cell, "o").get_xdata()) == 11  # the failed trial has no point
    assert cell.get_yscale() == "log"
    assert length.get_xscale() == "linear"
    bars = cell.collections[0].get_segments()
    np.testing.assert_allclose([bar[:, 1] for bar in bars], [[2.0, 5.0], [0.2, 0.5]])
    plt.close("all")


TRAININGS = ("SGD", "SGD + clip", "SGD + clip + Omega", "Adam + clip")


@pytest.mark.parametrize(
    ("names", "rotation"), [(("gru", "multiplicative"), 0), (("multiplicative", *"abc"), 90), (TRAININGS, 90)]
)
def test_words_are_not_cut_across_lines_nor_touch(search, names, rotation):
    planned = read_json(search / "sweep.json")
    for trial, name in zip(planned["trials"], names * (12 // len(names)), strict=True):
        trial["overrides"]["cell.name"] = name
    write_json(search / "sweep.json", planned)
    labels = axis_effects(open_sweep(search)).axes[0].get_xticklabels()
    assert [(label.get_text(), label.get_rotation()) for label in labels] == [(name, rotation) for name in names]
    plt.close("all")


def test_losses_that_are_no_numbers_are_crosses(sweep):
    finish(sweep, "lstm200", status="diverged", metrics={"test": {"loss": np.nan}})
    cell = axis_effects(open_sweep(sweep)).axes[0]
    assert list(lines_of(cell, "x").get_xdata()) == [1.0]
    assert lines_of(cell, "_").get_ydata()[1] == pytest.approx(0.25)  # of 0.1 0.1 0.2 0.2 0.3 0.3 less a 0.1, and inf
    plt.close("all")


@pytest.fixture
def search(tmp_path):
    """Twelve rates drawn at random, each with a cell and a length."""
    rates = [10.0 ** (-number / 4) for number in range(12)]
    trials = [
        {"id": str(n), "overrides": {"cell.name": CELLS[n % 2], "task.kwargs.length": 10, "optim.learning_rate": rate}}
        for n, rate in enumerate(rates)
    ]
    trials[0]["overrides"]["task.kwargs.length"] = 20
    write_json(tmp_path / "sweep.json", {"config": {}, "trials": trials})
    for n in range(12):
        run = RunFolder(tmp_path / "trials" / str(n))
        run.path.mkdir(parents=True)
        run.finish({"status": "finished", "metrics": {"test": {"loss": 1.0 + n}}, "baseline": 2.0, "solved": False})
    return tmp_path


def test_a_search_has_points_alone_of_all_its_axes(search):
    cell, length, rate = axis_effects(open_sweep(search)).axes
    assert [line.get_marker() for axes in (cell, length, rate) for line in axes.get_lines()] == ["o"] * 3
    assert rate.get_xscale() == "log"
    np.testing.assert_allclose(lines_of(rate, "o").get_xdata(), [10.0 ** (-number / 4) for number in range(12)])
    assert list(summary(open_sweep(search))[["cell", "length"]].itertuples(index=False, name=None))[:2] == [
        ("rnn", 20),
        ("lstm", 10),
    ]
    # Nor is there any figure with a curve for each of its settings.
    assert [path.stem for path in write(open_sweep(search)) if path.suffix == ".svg"] == ["axis_effects"]
    plt.close("all")
