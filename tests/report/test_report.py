"""Tables and figures from records alone, made by hand here so that every number is known."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from rnngen.records import RunFolder, write_json
from rnngen.report import failures, figures, screen, summary, write
from rnngen.report.tables import settings

CELLS, SEEDS, LENGTHS = ("rnn", "lstm"), range(3), (20, 40)
SLOPE = {"rnn": -0.5, "lstm": -0.1}


@pytest.fixture
def sweep(tmp_path):
    trials = []
    for cell in CELLS:
        for length in LENGTHS:
            for seed in SEEDS:
                name = f"{cell}{length}{seed}"
                overrides = {"cell.name": cell, "task.kwargs.length": length, "train.steps": 10 * length, "seed": seed}
                trials.append({"id": name, "overrides": overrides})
                write_run(tmp_path / "trials" / name, cell, length, seed)
    write_json(tmp_path / "sweep.json", {"config": {}, "trials": trials})
    return tmp_path


def write_run(path, cell, length, seed):
    run = RunFolder(path)
    run.start({"cell": {"name": cell}, "task": {"name": "adding", "kwargs": {"length": length}}})
    for step, loss in ((0, 1.0), (100, 0.1 * (seed + 1))):
        run.append("metrics", {"step": step, "split": "valid", "loss": loss})
        curve = [SLOPE[cell] * lag - seed for lag in range(length)]
        curves = {leaf: {"median": curve} for leaf in ("layer_0/h", "all")}
        run.append("diagnoses", {"step": step, "what": "gradient_flow", "curves": curves})
    if (cell, length, seed) == ("rnn", 40, 2):
        run.finish({"status": "failed", "reason": "MemoryError: no room"})
    else:
        half_life = {"initial": 2.0, "final": 10.0 * (seed + 1)}
        run.finish({"status": "finished", "metrics": {"test": {"loss": 0.1 * (seed + 1)}}, "baseline": 0.5,
                    "solved": seed == 0, "half_life": half_life})  # fmt: skip


def test_summary_over_seeds(sweep):
    table = summary(sweep).set_index(["cell", "length"])
    assert list(table.index) == [("rnn", 20), ("rnn", 40), ("lstm", 20), ("lstm", 40)]
    row = table.loc[("lstm", 40)]
    assert (row["trials"], row["finished"], row["failed"]) == (3, 3, 0)
    assert row[["test_loss_median", "test_loss_min", "test_loss_max"]].tolist() == pytest.approx([0.2, 0.1, 0.3])
    assert row["success_rate"] == pytest.approx(1 / 3)
    assert row["baseline"] == 0.5
    assert row["half_life_final_median"] == 20
    failed = table.loc[("rnn", 40)]
    assert (failed["trials"], failed["finished"], failed["failed"]) == (3, 2, 1)
    assert failed["success_rate"] == 0.5


def test_an_axis_that_follows_from_another_is_left_out(sweep):
    assert settings(sweep)[1] == ["cell.name", "task.kwargs.length"]


def test_failures_say_what_and_why(sweep):
    assert failures(sweep) == ["rnn402 (cell=rnn, length=40, steps=400, seed=2): MemoryError: no room"]


def test_gradient_figure_shows_the_records(sweep):
    figure = figures.gradient_norms(sweep, leaf="layer_0/h", against="t")
    assert len(figure.axes) == 4
    assert figure.axes[0].get_title() == "length 20, at initialisation"
    assert figure.axes[3].get_title() == "length 40, after training"
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    t, norm = lines["lstm"].get_data()
    np.testing.assert_allclose(norm, SLOPE["lstm"] * (20 - t) - 1)  # the median seed's curve, t = T at lag 0
    assert t.max() == 20
    assert lines["rnn"].get_color() != lines["lstm"].get_color()
    by_lag = figures.gradient_norms(sweep).axes[0].get_lines()[0].get_xdata()
    assert by_lag[0] == 0
    plt.close("all")


def test_the_float32_floor_is_marked_where_a_curve_passes_it(sweep):
    labels = lambda figure: [t.get_text() for axes in figure.axes for t in axes.texts]  # noqa: E731
    assert "smallest normal float32" not in labels(figures.gradient_norms(sweep))
    run = RunFolder(sweep / "trials" / "rnn200")
    deep = {"all": {"median": [-2.0 * lag for lag in range(30)]}}
    run.append("diagnoses", {"step": 200, "what": "gradient_flow", "curves": deep})
    assert "smallest normal float32" in labels(figures.gradient_norms(sweep))
    plt.close("all")


def test_learning_curves_carry_the_baseline(sweep):
    figure = figures.learning_curves(sweep)
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    np.testing.assert_allclose(lines["lstm"].get_ydata(), [1.0, 0.2])
    np.testing.assert_allclose(lines["without memory"].get_ydata(), 0.5)
    plt.close("all")


def test_no_records_no_figure(tmp_path):
    """As when every trial of a sweep fails before its first step: the table and the reasons are still there."""
    trials = [{"id": "x", "overrides": {"cell.name": "gru", "seed": 0}}]
    write_json(tmp_path / "sweep.json", {"config": {}, "trials": trials})
    run = RunFolder(tmp_path / "trials" / "x")
    run.path.mkdir(parents=True)
    run.finish({"status": "failed", "reason": "no"})
    assert figures.gradient_norms(tmp_path) is None
    assert figures.learning_curves(tmp_path) is None
    assert [path.name for path in write(tmp_path)] == ["table.csv"]
    assert summary(tmp_path)["failed"].tolist() == [1]
    assert failures(tmp_path) == ["x (cell=gru, seed=0): no"]
    screen.show(summary(tmp_path))


def test_a_trial_that_has_not_ended_is_not_drawn_as_trained(sweep):
    alone = {"rnn200", "rnn201", "rnn202"}
    for name in alone:
        (sweep / "trials" / name / "result.json").unlink()
    figure = figures.gradient_norms(sweep)
    labels = [[line.get_label() for line in axes.get_lines()] for axes in figure.axes[:2]]
    assert labels == [["rnn", "lstm"], ["lstm"]]
    plt.close("all")


def test_saved_as_png_and_svg(sweep, tmp_path):
    paths = figures.save(figures.learning_curves(sweep), tmp_path / "new" / "curves")
    assert [p.name for p in paths] == ["curves.png", "curves.svg"]
    assert paths[0].read_bytes()[:4] == b"\x89PNG"
    assert b"<svg" in paths[1].read_bytes()


def test_the_screen_shows_medians_and_ranges(sweep):
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    screen.show(summary(sweep), console)
    console.file.close()
    text = console.export_text()
    assert "0.2 [0.1, 0.3]" in text
    assert "no memory" in text
    assert isinstance(summary(sweep), pd.DataFrame)
