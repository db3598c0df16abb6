"""Learning-rate windows of a sweep made by hand, so that every share and every decade is known."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pytest

from rnngen.report import NothingToDraw, learning_rate_window, learning_rate_windows
from rnngen.report.tables import wilson
from rnngen.runs import open_sweep
from rnngen.storage.folder import RunFolder
from rnngen.storage.jsonl import write_json

RATES = [1e-4, 1e-3, 1e-2, 1e-1, 1.0]
# Of three seeds, how many solved the task at each rate, and the loss of them all.
SOLVED = {"gru": [0, 2, 3, 3, 0], "lstm": [0, 3, 1, 3, 2], "rnn": [0, 1, 1, 0, 0]}
LOSSES = {"gru": [5, 2, 0.2, 0.1, math.nan], "lstm": [5, 0.1, 1, 0.3, 2], "rnn": [9, 8, 7, 9, 9]}


def write(folder, cells, rates=RATES, axis=True):
    trials = []
    for cell in cells:
        for place, rate in enumerate(rates):
            for seed in range(3):
                name = f"{cell}{place}{seed}"
                overrides = {"optim.learning_rate": rate, "seed": seed} | ({"cell.name": cell} if axis else {})
                trials.append({"id": name, "overrides": overrides})
                run = RunFolder(folder / "trials" / name)
                run.start({"cell": {"name": cell}, "task": {"name": "adding", "kwargs": {}}})
                loss = LOSSES[cell][place]
                status = "diverged" if math.isnan(loss) else "finished"
                test = {"loss": loss, "accuracy": 1 - loss / 10}
                run.finish({"status": status, "metrics": {"test": test}, "solved": seed < SOLVED[cell][place]})
    write_json(folder / "sweep.json", {"config": {}, "trials": trials})
    return open_sweep(folder)


@pytest.fixture
def sweep(tmp_path):
    return write(tmp_path, SOLVED)


def test_the_window_is_the_unbroken_row_of_rates_around_the_best(sweep):
    table = learning_rate_windows(sweep).set_index("curve")
    assert list(table.index) == ["gru", "lstm", "rnn"]
    assert list(table["rates"]) == [5] * 3
    assert list(table["seeds"]) == [3] * 3
    # Two rates are solved by all: the one of the least loss is the best.
    assert list(table["best_rate"][:2]) == [1e-1, 1e-3]
    assert list(table["best_share"]) == [1.0, 1.0, pytest.approx(1 / 3)]
    np.testing.assert_allclose(table["decades"], [2.0, 0.0, np.nan])
    assert list(table["low"][:2]) == [1e-3, 1e-3]
    assert list(table["high"][:2]) == [1e-1, 1e-3]
    assert list(table["within"]) == [True, True, False]


@pytest.mark.parametrize(("share", "decades"), [(0.3, [2.0, 3.0, 1.0]), (1.0, [1.0, 0.0, np.nan])])
def test_the_share_of_seeds_decides_how_wide_it_is(sweep, share, decades):
    table = learning_rate_windows(sweep, share=share)
    np.testing.assert_allclose(table["decades"], decades)
    assert table["within"][1] == (share == 1.0)  # at 0.3 the LSTM's meets the largest rate


def test_a_threshold_of_a_metric_stands_for_solved(sweep):
    of_loss = learning_rate_windows(sweep, metric="loss", at=0.5).set_index("curve")
    np.testing.assert_allclose(of_loss["decades"], [1.0, 0.0, np.nan])
    of_accuracy = learning_rate_windows(sweep, metric="accuracy", at=0.75)  # loss of at most 2.5; nan is none
    np.testing.assert_allclose(of_accuracy["decades"], [2.0, 3.0, np.nan])
    for wrong in ({"metric": "loss"}, {"at": 0.5}):
        with pytest.raises(ValueError, match="metric and at belong together"):
            learning_rate_windows(sweep, **wrong)


def test_the_figure_has_a_band_a_cell_and_the_width_of_its_window(sweep):
    (axes,) = learning_rate_window(sweep, order=["lstm", "gru"], labels={"gru": "GRU"}).axes
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert axes.get_xscale() == "log"
    np.testing.assert_allclose(lines["GRU"].get_xdata(), RATES)
    np.testing.assert_allclose(lines["GRU"].get_ydata(), [0, 2 / 3, 1, 1, 0])
    band = axes.collections[1].get_paths()[0].vertices  # of the second curve in the order
    low, high = wilson(2, 3)
    assert any(np.allclose(point, (1e-3, low)) for point in band)
    assert any(np.allclose(point, (1e-3, high)) for point in band)
    assert [text.get_text() for text in axes.texts] == ["0.0 decades, best at 0.001", "2.0 decades, best at 0.1"]
    assert {tuple(line.get_xdata()) for line in axes.get_lines() if len(line.get_xdata()) == 2} == {
        (1e-3, 1e-3), (1e-3, 1e-1)
    }  # fmt: skip
    plt.close("all")


def test_one_cell_needs_no_axis(tmp_path):
    sweep = write(tmp_path, ["lstm"], axis=False)
    assert list(learning_rate_windows(sweep, share=0.3)["curve"]) == ["lstm"]
    _, axes = plt.subplots()
    learning_rate_window(sweep, share=0.3, ax=axes)
    assert [text.get_text() for text in axes.texts] == ["3.0+ decades, best at 0.001"]
    plt.close("all")


def test_a_window_without_two_rates_is_refused_in_one_line(tmp_path):
    with pytest.raises(NothingToDraw, match=r"has one optim\.learning_rate, and a window needs two at least"):
        learning_rate_window(write(tmp_path / "one", ["gru"], rates=RATES[:1]))
    sweep = write(tmp_path / "two", ["gru"])
    for run in sweep:
        if run.config["cell"]["name"] == "gru" and not run.name.startswith("gru1"):
            RunFolder(run.path).finish({"status": "failed", "reason": "no room"})
    with pytest.raises(NothingToDraw, match=r"gru has one optim\.learning_rate, and a window needs two at least"):
        learning_rate_windows(open_sweep(tmp_path / "two"))


@pytest.mark.parametrize("share", [0.0, 1.5])
def test_a_share_that_no_seeds_can_have_is_refused(sweep, share):
    for draw in (learning_rate_windows, learning_rate_window):
        with pytest.raises(ValueError, match="share must be above 0 and at most 1"):
            draw(sweep, share=share)


def test_a_cell_without_a_window_says_so(tmp_path):
    (axes,) = learning_rate_window(write(tmp_path, ["rnn"], axis=False)).axes
    assert [text.get_text() for text in axes.texts] == ["no window"]
    plt.close("all")
