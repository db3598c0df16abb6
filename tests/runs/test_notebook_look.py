"""A run and a sweep as a notebook shows them: few lines, escaped, without colours of their own."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

import rnngen
from rnngen.storage.folder import RunFolder
from rnngen.storage.jsonl import write_json

SEARCH = {"method": "tpe", "metric": "loss", "mode": "min", "trials": 3}
UNSAFE = "<script>alert('&')</script>"


def make_run(path, cell="gru", length=5, seed=0, loss=0.25, **result):
    run = RunFolder(path)
    task = {"name": "latch", "kwargs": {"length": length}}
    run.start({"seed": seed, "cell": {"name": cell, "kwargs": {"hidden_dim": 4}}, "task": task})
    run.append("metrics", {"step": 0, "split": "valid", "loss": 1.0})
    run.append("metrics", {"step": 2000, "split": "valid", "loss": loss, "accuracy": 0.5})
    if result:
        run.finish(result)
    return run


class Table(HTMLParser):
    """The texts of the cells, a list a row, and all tags."""

    def __init__(self, html):
        super().__init__()
        self.rows, self.tags = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.rows and self.rows[-1] and data.strip():
            self.rows[-1][-1] += data


def test_a_run_tells_what_it_is_and_how_far(tmp_path):
    make_run(tmp_path / "a")
    rows = dict(Table(rnngen.open(tmp_path / "a")._repr_html_()).rows)
    assert rows == {
        "cell": "gru(hidden_dim=4)",
        "task": "latch(length=5)",
        "status": "unfinished",
        "valid, step 2,000": "loss 0.25, accuracy 0.5",
    }
    half_life = {"initial": 2.345, "final": 17.0}
    RunFolder(tmp_path / "a").finish({"status": "finished", "half_life": half_life})
    rows = dict(Table(rnngen.open(tmp_path / "a")._repr_html_()).rows)
    assert rows["status"] == "finished"
    assert rows["half-life of the gradient"] == "2.35 steps before, 17 after"


def sweep_of(folder, cells, seeds=2):
    trials = []
    for cell in cells:
        for seed in range(seeds):
            name = f"{len(trials)}"
            trials.append({"id": name, "overrides": {"cell.name": cell, "seed": seed}})
            done = {"status": "finished", "metrics": {"test": {"loss": seed + 1.0}}} if seed else {}
            make_run(folder / "trials" / name, cell, seed=seed, **done)
    write_json(folder / "sweep.json", {"config": {}, "trials": trials})
    return rnngen.open(folder)


def test_a_sweep_tells_its_trials_and_settings(tmp_path):
    html = sweep_of(tmp_path, ["rnn", "gru"], seeds=3)._repr_html_()
    assert "4 finished, 2 unfinished" in html
    assert Table(html).rows == [
        ["cell", "trials", "finished", "test loss"],
        ["rnn", "3", "2", "2.5"],  # the median of 2 and 3
        ["gru", "3", "2", "2.5"],
    ]


def test_many_settings_are_cut_and_a_sweep_of_none_is_one_line(tmp_path):
    html = sweep_of(tmp_path / "many", [f"cell{n:02d}" for n in range(30)], seeds=1)._repr_html_()
    assert len(Table(html).rows) == 21
    assert "The first 20 of 30 settings." in html
    (tmp_path / "none").mkdir()
    write_json(tmp_path / "none" / "sweep.json", {"config": {}, "trials": [], "search": SEARCH})
    assert "no trials" in rnngen.open(tmp_path / "none")._repr_html_()


@pytest.mark.parametrize("kind", ["run", "sweep"])
def test_words_from_records_are_never_read_as_markup(tmp_path, kind):
    sweep = sweep_of(tmp_path / "sweep", [UNSAFE, "rnn"])
    html = (sweep if kind == "sweep" else sweep["1"])._repr_html_()
    assert "script" not in Table(html).tags
    assert "&lt;script&gt;" in html
    assert not re.search(r"color|background", html)  # readable in the dark as well


def test_numbers_that_are_not_finite_are_shown_as_such(tmp_path):
    make_run(tmp_path / "a", loss=np.inf, status="diverged")
    rows = dict(Table(rnngen.open(tmp_path / "a")._repr_html_()).rows)
    assert rows["valid, step 2,000"] == "loss inf, accuracy 0.5"
