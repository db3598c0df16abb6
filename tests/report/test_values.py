"""Axes of None, truth values, lists, words beside numbers: tables, figures and pages show them as what they are."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from rich.console import Console

from rnngen.report import effects, screen, summary, write
from rnngen.report.columns import columns
from rnngen.report.tables import failures
from rnngen.runs import open_sweep
from rnngen.runs.settings import NOTHING
from rnngen.storage.folder import RunFolder
from rnngen.storage.jsonl import write_json

NAME, BIAS = "task.kwargs.train_size", "cell.kwargs.forget_bias"
MIXED = {
    "none": ([None, 64, 128, 256], ["None", "64", "128", "256"]),
    "bools": ([True, False], ["True", "False"]),
    "lists": ([[1, 2], [3]], ["[1, 2]", "[3]"]),
    "words": (["auto", 1, 0.5], ["auto", "1", "0.5"]),
    "alike": ([True, 1, None, "none"], ["True", "1", "None", "none"]),
    "infinite": ([np.inf, 1.0, 2.0], ["inf", "1.0", "2.0"]),
    "nan": ([np.nan, None, 2.0], ["nan", "None", "2.0"]),
    "numbers": ([4, 0.5, 16], ["4", "0.5", "16"]),
}


def make(folder, overrides):
    """A sweep of two seeds of each of some overrides, its test losses 1, 2, ... in their order."""
    trials = []
    for number, given in enumerate(overrides):
        for seed in range(2):
            trials.append({"id": f"{number}-{seed}", "overrides": given | {"seed": seed}})
            run = RunFolder(folder / "trials" / f"{number}-{seed}")
            run.start({"cell": {"name": "rnn"}, "task": {"name": "adding"}})
            for step, loss in ((0, 1.0), (10, 0.5)):
                run.append("metrics", {"step": step, "split": "valid", "loss": loss})
            run.finish({"status": "finished", "metrics": {"test": {"loss": 1.0 + number}}, "baseline": 2.0,
                        "solved": False, "parameters": 10**6, "half_life": {"initial": 1.0, "final": 2.0}})  # fmt: skip
    write_json(folder / "sweep.json", {"config": {}, "trials": trials})
    return folder


def column(folder, heading="train size"):
    return next(of for of in columns(summary(open_sweep(folder))) if of.heading == heading)


@pytest.mark.parametrize(("values", "shown"), MIXED.values(), ids=MIXED)
def test_values_are_shown_as_what_they_are_in_their_order(tmp_path, values, shown):
    folder = make(tmp_path, [{NAME: value} for value in values])
    assert column(folder).texts == shown
    assert summary(open_sweep(folder))["trials"].tolist() == [2] * len(values)
    assert open_sweep(folder).setting_names.nunique() == len(values)
    assert list(open_sweep(folder).labelled("metrics")["curve"].unique()) == shown
    (axes,) = effects.axis_effects(open_sweep(folder)).axes
    if column(folder).values is None:
        assert [label.get_text() for label in axes.get_xticklabels()] == shown
    plt.close("all")


def test_none_beside_numbers_has_every_figure_and_a_page(tmp_path):
    folder = make(tmp_path, [{NAME: value} for value in (None, 64, 128, 256)])
    written = {path.name for path in write(open_sweep(folder))}
    assert {"report.html", "axis_effects.svg", "learning_curves.svg", "horizons.svg"} <= written
    assert "None" in (folder / "table.csv").read_text()
    assert "None & 2" in (folder / "table.tex").read_text()


def test_what_a_setting_does_not_have_is_a_dash_and_no_value(tmp_path):
    """As the forget bias of a GRU beside an LSTM's."""
    lstms = [{"cell.name": "lstm", BIAS: bias} for bias in (1.5, 2.5)]
    folder = make(tmp_path, [*lstms, {"cell": {"name": "gru", "kwargs": {}}}])
    assert column(folder, "forget bias").texts == ["1.5", "2.5", NOTHING]
    frame = open_sweep(folder).axes
    assert frame[BIAS].dtype == float
    assert list(dict.fromkeys(open_sweep(folder).setting_names)) == [
        "lstm, forget_bias 1.5",
        "lstm, forget_bias 2.5",
        "gru",
    ]


def test_whole_numbers_stay_whole_beside_others(tmp_path):
    overrides = [{"train.steps": 2000000, "optim.learning_rate": rate} for rate in (0.1, 0.2)]
    folder = make(tmp_path, [*overrides, {"train.steps": 1000000, "optim.learning_rate": 0.2}])
    assert open_sweep(folder).setting_names["0-0"] == "steps 2000000, learning_rate 0.1"
    run = RunFolder(folder / "trials" / "2-1")
    run.finish({"status": "failed", "reason": "no"})
    assert failures(open_sweep(folder)) == ["2-1 (steps=1000000, learning_rate=0.2, seed=1): no"]


def test_parameters_are_counted_in_every_table(tmp_path):
    folder = make(tmp_path, [{"cell.name": cell} for cell in ("rnn", "gru")])
    assert column(folder, "parameters").texts == ["1000000"] * 2
    console = Console(width=200, record=True, file=io.StringIO())
    screen.show(summary(open_sweep(folder)), console)
    assert console.export_text().split().count("1000000") == 2
