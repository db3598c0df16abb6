"""Figures are functions of a run or a sweep that their caller shapes: axes, order, labels, colours, style."""

import collections
import io

import matplotlib.pyplot as plt
import pytest
from PIL import Image

import rnngen
from rnngen import report
from rnngen.report import NothingToDraw, gradient_norms, learning_curves
from rnngen.runs import open_sweep
from rnngen.storage import jsonl

pytest_plugins = ["handmade_sweep"]


@pytest.fixture
def opened(sweep):
    return rnngen.open(sweep)


def lines(axes):
    return {line.get_label(): line for line in axes.get_lines() if not line.get_label().startswith("_")}


def test_order_labels_and_colours_are_the_callers(opened):
    figure = gradient_norms(opened, order=["lstm", "rnn"], labels={"rnn": r"$\tanh$ RNN"}, colors={"lstm": "red"})
    drawn = lines(figure.axes[0])
    assert list(drawn) == ["lstm", r"$\tanh$ RNN"]
    assert drawn["lstm"].get_color() == "red"
    assert drawn[r"$\tanh$ RNN"].get_color() == gradient_norms(opened).axes[0].get_lines()[0].get_color()
    assert list(lines(gradient_norms(opened, order=["lstm"]).axes[0])) == ["lstm"]


@pytest.mark.parametrize("asked", [{"order": ["lstn"]}, {"labels": {"lstn": "x"}}, {"colors": {"lstn": "x"}}])
def test_a_curve_that_is_not_there_is_named_with_the_nearest(opened, asked):
    with pytest.raises(ValueError, match="no curve 'lstn'; did you mean 'lstm'"):
        gradient_norms(opened, **asked)


def test_figures_draw_into_axes_of_the_caller(opened):
    run = opened["lstm200"]
    figure, axes = plt.subplots()
    assert gradient_norms(run, ax=axes) is figure
    assert axes.get_title() == "after training"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["lstm"]
    figure, axes = plt.subplots(2, 2)
    gradient_norms(opened, ax=axes)
    assert [axis.get_title() for axis in axes[0]] == ["length 20, at initialisation", "length 20, after training"]
    with pytest.raises(ValueError, match=r"ax: this figure has 4 panels, got 2"):
        gradient_norms(opened, ax=axes[0])
    plt.close("all")


def test_a_style_goes_on_top_and_leaves_nothing_behind(opened):
    before = plt.rcParams["lines.linewidth"]
    figure = learning_curves(opened, style={"lines.linewidth": 7.0})
    assert lines(figure.axes[0])["rnn"].get_linewidth() == 7.0
    assert plt.rcParams["lines.linewidth"] == before


def test_figures_are_made_of_what_was_opened_and_say_what_they_miss(opened):
    with pytest.raises(NothingToDraw, match=r"no record of lyapunov_spectrum: train with config.diagnose.what"):
        report.lyapunov_spectra(opened)
    with pytest.raises(TypeError, match=r"takes what rnngen.open\(folder\) gives"):
        gradient_norms(str(opened.path))


def test_a_notebook_shows_a_figure_that_is_no_pyplots(opened):
    png, metadata = report.gradient_norms(opened)._repr_png_()
    picture = Image.open(io.BytesIO(png))
    assert picture.format == "PNG"
    assert picture.width > metadata["width"] > 200  # sharp on a screen of more pixels
    assert len(picture.convert("L").getcolors()) > 20  # curves are drawn on it


def test_a_report_reads_every_file_once(sweep, monkeypatch):
    read = collections.Counter()
    for name in ("read_json", "read_rows"):
        whole = getattr(jsonl, name)

        def counted(path, *args, whole=whole, **kwargs):
            read[path] += 1
            return whole(path, *args, **kwargs)

        for module in ("rnngen.storage.folder", "rnngen.storage.plan"):
            if hasattr(__import__(module, fromlist=["x"]), name):
                monkeypatch.setattr(f"{module}.{name}", counted)
    report.write(open_sweep(sweep))
    assert len(read) > 3 * 12
    assert set(read.values()) == {1}


def test_the_best_trial(opened):
    assert opened.best("metrics.test.loss").name == "rnn200"
    assert opened.best("metrics.test.loss", "max").name == "rnn202"
    with pytest.raises(ValueError, match="has a number 'accuracy'"):
        opened.best("accuracy")
    assert opened.status == {"finished": 11, "failed": 1}
    assert opened["rnn402"].status == "failed"
