"""Tables and figures from records alone, made by hand here so that every number is known."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from rnngen import report
from rnngen.plotting import style
from rnngen.report import NothingToDraw, scores, screen, summary, write
from rnngen.report.tables import failures, markdown, wilson
from rnngen.runs import open_folder, open_sweep
from rnngen.runs.export import export
from rnngen.storage.folder import RunFolder
from rnngen.storage.jsonl import read_json, write_json

pytest_plugins = ["handmade_sweep"]

CELLS = ("rnn", "lstm")
SLOPE = {"rnn": -0.5, "lstm": -0.1}  # of the gradients in the fixture `sweep`


def test_summary_over_seeds(sweep):
    table = summary(open_sweep(sweep)).set_index(["cell", "length"])
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
    assert open_sweep(sweep).settings == ["cell.name", "task.kwargs.length"]


def test_failures_say_what_and_why(sweep):
    assert failures(open_sweep(sweep)) == ["rnn402 (cell=rnn, length=40, steps=400, seed=2): MemoryError: no room"]


def test_gradient_figure_shows_the_records(sweep):
    figure = report.gradient_norms(open_sweep(sweep), leaf="layer_0/h", against="t")
    assert len(figure.axes) == 4
    assert figure.axes[0].get_title() == "length 20, at initialisation"
    assert figure.axes[3].get_title() == "length 40, after training"
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    t, norm = lines["lstm"].get_data()
    np.testing.assert_allclose(norm, SLOPE["lstm"] * (20 - t) - 1)  # the median seed's curve, t = T at lag 0
    assert t.max() == 20
    assert lines["rnn"].get_color() != lines["lstm"].get_color()
    by_lag = report.gradient_norms(open_sweep(sweep)).axes[0].get_lines()[0].get_xdata()
    assert by_lag[0] == 0
    plt.close("all")


def test_the_float32_floor_is_marked_where_a_curve_passes_it(sweep):
    labels = lambda figure: [t.get_text() for axes in figure.axes for t in axes.texts]  # noqa: E731
    assert "smallest normal float32" not in labels(report.gradient_norms(open_sweep(sweep)))
    run = RunFolder(sweep / "trials" / "rnn200")
    deep = {"all": {"median": [-2.0 * lag for lag in range(30)]}}
    run.append("diagnoses", {"step": 200, "what": "gradient_flow", "curves": deep})
    assert "smallest normal float32" in labels(report.gradient_norms(open_sweep(sweep)))
    plt.close("all")


def test_learning_curves_carry_the_baseline(sweep):
    figure = report.learning_curves(open_sweep(sweep))
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    np.testing.assert_allclose(lines["lstm"].get_ydata(), [1.0, 0.2])
    np.testing.assert_allclose(lines["memoryless"].get_ydata(), 0.5)
    plt.close("all")


def test_no_records_no_figure(tmp_path):
    """As when every trial of a sweep fails before its first step: the table and the reasons are still there."""
    trials = [{"id": "x", "overrides": {"cell.name": "gru", "seed": 0}}]
    write_json(tmp_path / "sweep.json", {"config": {}, "trials": trials})
    run = RunFolder(tmp_path / "trials" / "x")
    run.path.mkdir(parents=True)
    run.finish({"status": "failed", "reason": "no"})
    with pytest.raises(NothingToDraw):
        report.gradient_norms(open_sweep(tmp_path))
    with pytest.raises(NothingToDraw):
        report.learning_curves(open_sweep(tmp_path))
    assert [path.name for path in write(open_sweep(tmp_path))] == ["table.csv", "table.tex", "report.html"]
    assert summary(open_sweep(tmp_path))["failed"].tolist() == [1]
    assert failures(open_sweep(tmp_path)) == ["x (cell=gru, seed=0): no"]
    screen.show(summary(open_sweep(tmp_path)))


def test_a_trial_that_has_not_ended_is_not_drawn_as_trained(sweep):
    alone = {"rnn200", "rnn201", "rnn202"}
    for name in alone:
        (sweep / "trials" / name / "result.json").unlink()
    figure = report.gradient_norms(open_sweep(sweep))
    labels = [[line.get_label() for line in axes.get_lines()] for axes in figure.axes[:2]]
    assert labels == [["rnn", "lstm"], ["lstm"]]
    plt.close("all")


def test_saved_as_png_and_svg(sweep, tmp_path):
    paths = style.save(report.learning_curves(open_sweep(sweep)), tmp_path / "new" / "curves")
    assert [p.name for p in paths] == ["curves.png", "curves.svg"]
    assert paths[0].read_bytes()[:4] == b"\x89PNG"
    assert b"<svg" in paths[1].read_bytes()


@pytest.mark.slow
def test_drawn_again_is_the_same_to_the_byte(lengths, tmp_path):
    export(lengths, tmp_path / "packed")
    first = {path: path.read_bytes() for path in write(open_sweep(tmp_path / "packed"))}
    assert {path: path.read_bytes() for path in write(open_sweep(tmp_path / "packed"))} == first
    # Nor does a file hold the day, or what it was drawn with.
    assert [path.name for path, raw in first.items() if b"Matplotlib" in raw or b"dc:date" in raw] == []


def test_the_screen_shows_medians_and_ranges(sweep):
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    screen.show(summary(open_sweep(sweep)), console)
    console.file.close()
    text = console.export_text()
    assert "0.2 [0.1, 0.3]" in text
    assert "memoryless" in text
    assert "0.333 [0.0615, 0.792]" in text  # one seed of three
    assert isinstance(summary(open_sweep(sweep)), pd.DataFrame)


def test_wilsons_interval():
    """Against the equation's own root form: the rates p at which z standard errors reach the observed one."""
    for successes, trials in ((0, 5), (3, 5), (5, 5), (40, 100)):
        low, high = wilson(successes, trials)
        for p in (low, high):
            if 0 < p < 1:
                error = abs(successes / trials - p) / np.sqrt(p * (1 - p) / trials)
                assert error == pytest.approx(1.96)
        assert low <= successes / trials <= high
    assert wilson(0, 0) == (0.0, 1.0)


def test_labels_of_a_sweep_are_what_tables_and_curves_say(sweep):
    there = read_json(sweep / "sweep.json")
    for trial in there["trials"]:
        trial["labels"] = {"cell.name": {"rnn": "tanh RNN", "lstm": "LSTM"}[trial["overrides"]["cell.name"]]}
    write_json(sweep / "sweep.json", there)
    assert list(summary(open_sweep(sweep))["cell"]) == ["tanh RNN"] * 2 + ["LSTM"] * 2
    lines = {line.get_label(): line for line in report.gradient_norms(open_sweep(sweep)).axes[0].get_lines()}
    assert lines["LSTM"].get_color() == style.COLOURS["lstm"]
    assert lines["tanh RNN"].get_color() == style.COLOURS["rnn"]
    plt.close("all")


def test_colours_are_a_cells_own_and_never_shared():
    found = style.colours(["LSTM", "something", "IRNN", "else", "tanh RNN"])
    assert (found["LSTM"], found["IRNN"]) == (style.COLOURS["lstm"], style.COLOURS["irnn"])
    assert len(set(found.values())) == 5


def test_gradients_that_are_no_numbers_are_marked(sweep):
    run = RunFolder(sweep / "trials" / "rnn200")
    run.append("diagnoses", {"step": 200, "what": "gradient_flow", "curves": {"all": {"median": [np.inf] * 5 + [0.0]}}})
    crosses = [
        line for line in report.gradient_norms(open_sweep(sweep)).axes[1].get_lines() if line.get_marker() == "x"
    ]
    assert [list(line.get_xdata()) for line in crosses] == [[0, 1, 2, 3, 4]]
    plt.close("all")


@pytest.fixture
def lengths(tmp_path):
    """Three lengths, two cells, five seeds: the LSTM always solves the task, the RNN only the shortest."""
    trials = []
    for cell in CELLS:
        for length in (10, 20, 30):
            for seed in range(5):
                name = f"{cell}-{length}-{seed}"
                overrides = {"cell.name": cell, "task.kwargs.length": length, "seed": seed}
                trials.append({"id": name, "overrides": overrides})
                write_scored(tmp_path / "trials" / name, seed, cell == "lstm" or length == 10)
    write_json(tmp_path / "sweep.json", {"config": {}, "trials": trials})
    return tmp_path


def write_scored(path, seed, solved):
    run = RunFolder(path)
    run.start({})
    for step in (0, 100):
        scale = 1.0 if step == 0 or not solved else 3.0
        run.append("diagnoses", {"step": step, "what": "lyapunov_spectrum",
                                 "exponents": {"median": [-0.1 * scale, -0.2 * scale]}})  # fmt: skip
        run.append("diagnoses", {"step": step, "what": "jacobian_products", "lags": [1, 10],
                                 "log10_condition": {"median": [1.0, 5.0 * scale]}})  # fmt: skip
        circle = {"real": [[0.5, 0.6]], "imag": [[0.1 * scale, 0.0]]}
        run.append("diagnoses", {"step": step, "what": "recurrent_eigenvalues", "jacobian": [circle] * 3})
        gates = {"layer_0/f": {"left": [0.2, 0.3], "right": [0.5, 0.6]}}
        run.append("diagnoses", {"step": step, "what": "gate_statistics", "gates": gates})
        found = {"lengths": [10, 100], "metrics": {"accuracy": [0.25, 0.25] if step == 0 else [1.0, 0.1 * seed]}}
        run.append("diagnoses", {"step": step, "what": "length_generalisation"} | found)
        curve = {"median": [1.0, 2.0, 3.0 * scale]}
        run.append("diagnoses", {"step": step, "what": "carry_norms",
                                 "curves": {"norm": {"layer_0": curve}, "to_last": {"layer_0": curve}}})  # fmt: skip
    half_life = {"initial": 2.0, "final": 30.0 + seed if solved else float("inf")}
    run.finish({"status": "finished", "metrics": {"test": {"loss": 1e-3 if solved else 0.5}}, "baseline": 0.4,
                "solved": solved, "reached_at": 50 if solved else None, "half_life": half_life})  # fmt: skip


def test_success_against_a_number(lengths):
    axes = scores.success_rates(open_sweep(lengths)).axes[0]
    bars = {bar.get_label(): bar for bar in axes.containers}
    assert list(bars["lstm"].lines[0].get_ydata()) == [1, 1, 1]
    assert list(bars["rnn"].lines[0].get_ydata()) == [1, 0, 0]
    segment = bars["rnn"].lines[2][0].get_segments()[1]
    assert (segment[0][1], segment[1][1]) == pytest.approx(wilson(0, 5), abs=1e-9)
    assert {tuple(bar.lines[0].get_xdata()) for bar in bars.values()} == {(10, 20, 30)}
    hollow = [line for line in axes.get_lines() if line.get_markerfacecolor() == "white"]
    assert sorted(len(line.get_xdata()) for line in hollow) == [0, 2]  # runs that met their cap
    plt.close("all")


def test_losses_against_a_number(lengths):
    lines = {line.get_label(): line for line in scores.losses(open_sweep(lengths)).axes[0].get_lines()}
    assert list(lines["rnn"].get_ydata()) == [1e-3, 0.5, 0.5]
    assert list(lines["memoryless"].get_ydata()) == [0.4] * 3
    plt.close("all")


def test_horizons_beside_success(lengths):
    left, right = scores.horizons(open_sweep(lengths)).axes
    labels = [text.get_text() for text in left.get_yticklabels()]
    assert labels == [f"{cell}, length {n}" for cell in CELLS for n in (10, 20, 30)]
    after = [line for line in left.get_lines() if line.get_marker() in ("o", ">") and line.get_fillstyle() == "full"]
    drawn = {
        int(line.get_ydata()[0]): (line.get_xdata()[0], line.get_marker()) for line in after if len(line.get_ydata())
    }
    assert drawn[0] == (32.0, "o")
    assert drawn[1] == (1e4, ">")  # a norm that does not fall
    rates = {int(line.get_ydata()[0]): line.get_xdata()[0] for line in right.get_lines() if line.get_marker() == "o"}
    assert rates == {0: 1, 1: 0, 2: 0, 3: 1, 4: 1, 5: 1}
    plt.close("all")


def test_a_half_life_that_there_is_none_of_is_left_of_all(lengths):
    for seed in range(5):
        run = RunFolder(lengths / "trials" / f"rnn-20-{seed}")
        run.finish(run.result() | {"half_life": {"initial": 2.0, "final": np.nan}})
    axes = scores.horizons(open_sweep(lengths)).axes[0]
    left = [line for line in axes.get_lines() if line.get_marker() == "<"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in left] == [(scores.SHOWN[0], 1)]
    assert axes.get_xlim()[0] < scores.SHOWN[0]
    plt.close("all")


def test_spectra_before_and_after(lengths):
    for draw, before, after in (
        (report.lyapunov_spectra, [-0.1, -0.2], [-0.3, -0.6]),
        (report.jacobian_conditions, [1.0, 5.0], [1.0, 15.0]),
    ):
        panels = draw(open_sweep(lengths)).axes
        first, last = ({line.get_label(): line for line in axes.get_lines()} for axes in panels)
        np.testing.assert_allclose(first["lstm"].get_ydata(), before)
        np.testing.assert_allclose(last["lstm"].get_ydata(), after)
    points = report.recurrent_eigenvalues(open_sweep(lengths)).axes[2].get_lines()[0]
    np.testing.assert_allclose(points.get_xydata(), [[0.5, 0.3], [0.6, 0.0]])
    gates = report.gate_statistics(open_sweep(lengths)).axes[0].get_lines()[0]
    np.testing.assert_allclose(gates.get_xydata(), [[0.5, 0.2], [0.6, 0.3]])
    norms = report.carry_norms(open_sweep(lengths)).axes[1].get_lines()
    assert {line.get_label(): line.get_ydata()[-1] for line in norms} == {"rnn": 3.0, "lstm": 9.0}
    plt.close("all")


@pytest.mark.slow
def test_every_figure_is_drawn_from_packed_records_too(lengths, tmp_path):
    export(lengths, tmp_path / "packed")
    names = {path.name for path in write(open_sweep(tmp_path / "packed"))}
    assert names == {path.name for path in write(open_sweep(lengths))}
    assert {"table.csv", "success_rates.svg", "horizons.png", "gate_statistics.png", "carry_norms.svg"} <= names


def test_a_table_in_markdown():
    rows = pd.DataFrame({"cell": ["rnn"], "loss": [0.123456], "n": [3]})
    assert markdown(rows) == "| cell | loss | n |\n| --- | --- | --- |\n| rnn | 0.123 | 3 |"


def test_settings_are_called_by_their_labels(lengths):
    there = read_json(lengths / "sweep.json")
    for trial in there["trials"]:
        if trial["overrides"]["cell.name"] == "lstm":
            trial["labels"] = {"cell.name": "the better one"}
    write_json(lengths / "sweep.json", there)
    names = open_sweep(lengths).setting_names
    assert names["lstm-20-0"] == "the better one, length 20"
    assert names["rnn-10-1"] == "rnn, length 10"


def test_accuracy_at_other_lengths_is_that_after_training(lengths):
    sweep = open_sweep(lengths)
    panels = {axes.get_title(): axes for axes in report.length_generalisation(sweep).axes}
    assert list(panels) == ["length 10", "length 20", "length 30"]
    lines = {line.get_label(): line for line in panels["length 20"].get_lines()}
    # Five seeds, whose accuracy is 1 at length 10, and 0, 0.1 to 0.4 at length 100.
    np.testing.assert_allclose(lines["lstm"].get_xydata(), [[10, 1.0], [100, 0.2]])
    plt.close("all")
    table = report.length_table(sweep).set_index("setting")
    assert table.loc["lstm, length 20"].to_dict() == pytest.approx(
        {"seeds": 5, "best": 0.7, "median": 0.6, "least": 0.5, "generalise": 0.0}
    )


def test_seeds_are_judged_at_lengths_beyond_those_trained_on(tmp_path):
    for seed, far in enumerate([0.5, 0.95, 1.0]):
        run = RunFolder(tmp_path / "trials" / f"gru-{seed}")
        run.start({})
        found = {"lengths": [40, 100, 500], "trained": 40, "metrics": {"accuracy": [0.3, 1.0, 2 * far - 1.0]}}
        run.append("diagnoses", {"step": 9, "what": "length_generalisation"} | found)
        run.finish({"status": "finished", "metrics": {}})
    trials = [{"id": f"gru-{seed}", "overrides": {"cell.name": "gru", "seed": seed}} for seed in range(3)]
    write_json(tmp_path / "sweep.json", {"config": {}, "trials": trials})
    only = RunFolder(tmp_path / "failed")
    only.start({})
    only.append("diagnoses", {"step": 0, "what": "length_generalisation"} | found)
    only.finish({"status": "failed", "reason": "a word"})
    for draw in (report.length_generalisation, report.length_table):
        with pytest.raises(report.NothingToDraw, match="no run that trained to an end"):
            draw(open_folder(only.path))
    (row,) = report.length_table(open_sweep(tmp_path)).to_dict("records")
    assert row["generalise"] == pytest.approx(2 / 3)
    assert (row["best"], row["median"], row["least"]) == pytest.approx((1.0, 0.95, 0.5))
    axes = report.length_generalisation(open_sweep(tmp_path)).axes[0]
    lines = [line for line in axes.get_lines() if list(line.get_xdata()) == [40, 100, 500]]
    assert len(lines) == 4  # the median and each seed
    assert lines[0].get_label() == "gru: best 1.00, median 0.95, 2/3 above 0.9"
    assert [line.get_xdata()[0] for line in axes.get_lines() if line.get_linestyle() == ":"] == [40]
    plt.close("all")
