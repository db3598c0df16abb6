"""Learning curves and the axes of figures: every curve's end is in sight, and numbers stand as they are spaced."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from rnngen import report
from rnngen.plotting import style
from rnngen.report import scores
from rnngen.runs import open_sweep
from rnngen.storage.folder import RunFolder
from rnngen.storage.jsonl import read_json, write_json

pytest_plugins = ["handmade_sweep"]

CELLS, RATES = ("rnn", "lstm"), (1e-3, 3e-3, 1e-2)


def learning(folder, *losses):
    """A run with one loss on train and one on valid at each step, 0.5 without memory: its axes of learning curves."""
    run = RunFolder(folder / "learning")
    run.start({"cell": {"name": "rnn"}})
    for step, loss in enumerate(losses):
        for split, by in (("train", 2.0), ("valid", 1.0)):
            run.append("metrics", {"step": step, "split": split, "loss": loss * by})
    run.finish({"status": "finished", "baseline": 0.5})
    (axes,) = report.learning_curves(open_sweep(run.path)).axes
    return axes


@pytest.mark.parametrize("losses", [(3.0, 0.7, 0.9), (8.0, 0.6, 4.0), (0.9, 0.6, 0.3), (9.0, -1.0, -0.5), (0.7,)])
def test_every_learning_curve_ends_in_sight(tmp_path, losses):
    axes = learning(tmp_path, *losses)
    low, high = axes.get_ylim()
    assert low < min(0.5, *losses, 2 * min(losses))
    assert high > max(0.5, losses[-1], 2 * losses[-1])
    assert axes.get_yscale() == ("log" if losses[-1] == 4.0 else "linear")
    plt.close("all")


def test_train_is_drawn_thin_beside_valid(tmp_path):
    valid, train, *_ = learning(tmp_path, 1.0, 0.8, 0.6).get_lines()
    np.testing.assert_allclose(valid.get_ydata(), [1.0, 0.8, 0.6])
    np.testing.assert_allclose(train.get_ydata(), [2.0, 1.6, 1.2])
    assert train.get_linewidth() < valid.get_linewidth()
    assert train.get_color() == valid.get_color()
    plt.close("all")


def test_a_loss_that_is_no_number_is_a_cross_and_one_alone_a_point(tmp_path):
    crosses = [line for line in learning(tmp_path, 1.0, np.nan, np.inf).get_lines() if line.get_marker() == "x"]
    assert [list(line.get_xdata()) for line in crosses] == [[1, 2]]
    alone = learning(tmp_path / "b", 0.6).get_lines()[0]
    assert (alone.get_marker(), list(alone.get_ydata())) == ("o", [0.6])
    plt.close("all")


def test_a_run_that_failed_before_it_was_evaluated_is_a_point_on_train(tmp_path):
    run = RunFolder(tmp_path / "failed")
    run.start({"cell": {"name": "rnn"}})
    run.append("metrics", {"step": 100, "split": "train", "loss": 1.0})
    run.finish({"status": "failed", "reason": "no"})
    marked = [
        line for line in report.learning_curves(open_sweep(run.path)).axes[0].get_lines() if line.get_marker() == "."
    ]
    assert [line.get_xydata().tolist() for line in marked] == [[[100.0, 1.0]]]
    plt.close("all")


def test_a_figure_has_one_legend_of_the_curves_of_all_its_panels(sweep):
    figure = report.learning_curves(open_sweep(sweep))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["rnn", "lstm", "memoryless"]
    assert [axes.get_legend() for axes in figure.axes] == [None, None]
    plt.close("all")


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ((1e-3, 3e-3, 1e-2), "log"),
        ((16, 32, 64, 128), "log"),
        ((0.0, 1e-4, 1e-3, 1e-2), "symlog"),
        ((50, 100, 150, 200), "linear"),
        ((0.0, 0.25, 0.5), "linear"),
        ((-1.0, 1.0, 10.0), "linear"),
        ((20, 40), "linear"),
        ((1e-3, 1e-2), "log"),
        ((5,), "linear"),
    ],
)
def test_an_axis_has_the_scale_of_its_values(values, scale):
    _, axes = plt.subplots()
    style.number_axis(axes, values)
    assert axes.get_xscale() == scale
    if scale != "linear":
        assert [text.get_text() for text in axes.get_xticklabels()] == [f"{value:g}" for value in values]
    plt.close("all")


def test_rates_of_one_place_stand_side_by_side_within_the_panel(sweep):
    there = read_json(sweep / "sweep.json")
    for trial in there["trials"]:
        trial["overrides"] = {"cell.name": trial["id"][:-3], "optim.learning_rate": RATES[trial["overrides"]["seed"]]}
    write_json(sweep / "sweep.json", there)
    for draw in (scores.success_rates, scores.losses):
        figure = draw(open_sweep(sweep))
        figure.draw_without_rendering()
        (axes,) = figure.axes
        assert axes.get_xscale() == "log"
        lines = {line.get_label(): line for line in axes.get_lines()} | {
            bar.get_label(): bar.lines[0] for bar in axes.containers
        }
        rnn, lstm = (lines[cell].get_transform().transform(lines[cell].get_xydata()) for cell in CELLS)
        np.testing.assert_allclose((lstm - rnn)[:, 0], 4 * figure.dpi / 72)  # four points
        assert axes.bbox.x0 < rnn[0, 0]
        assert lstm[-1, 0] < axes.bbox.x1
    plt.close("all")
