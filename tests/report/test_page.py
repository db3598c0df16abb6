"""The page, the LaTeX table and the figure of each axis's effect, against records made by hand."""

import re
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pytest

from rnngen.plotting import style
from rnngen.report import latex, page, summary, write
from rnngen.report.columns import columns
from rnngen.report.curves import curves
from rnngen.report.effects import axis_effects
from rnngen.runs import open_sweep
from rnngen.runs.export import export
from rnngen.runs.settings import NOTHING
from rnngen.storage.folder import RunFolder
from rnngen.storage.jsonl import read_json, write_json

pytest_plugins = ["handmade_sweep"]

SEARCH = {"method": "tpe", "metric": "loss", "mode": "min", "trials": 3}
UNSAFE = "<script>alert('&')</script>"


class Tables(HTMLParser):
    """The rows of every table of a page as texts, and all of its tags and attributes."""

    def __init__(self, html):
        super().__init__()
        self.tables, self.attributes, self.tags, self._open = [], [], [], False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self._open = True

    def handle_endtag(self, tag):
        self._open &= tag not in ("td", "th")

    def handle_data(self, data):
        if self._open:
            self.tables[-1][-1][-1] += data

    def find(self, heading):
        """The table with a heading, a dict a row."""
        table = next(t for t in self.tables if heading in t[0])
        return [dict(zip(table[0], row, strict=True)) for row in table[1:]]


def html_of(folder):
    """The page without its figures, which take most of the time."""
    return page.render(open_sweep(folder), summary(open_sweep(folder)), [])


def finish(folder, trial, **changes):
    """Change a trial's result."""
    run = RunFolder(folder / "trials" / trial)
    run.finish(run.result() | changes)


def test_the_leader_table_says_what_the_records_say(sweep):
    rows = Tables(html_of(sweep)).find("solved")
    assert [(row["cell"], row["length"]) for row in rows] == [
        ("rnn", "20"),
        ("rnn", "40"),
        ("lstm", "20"),
        ("lstm", "40"),
    ]
    assert rows[3]["test loss"] == "0.2 [0.1, 0.3]"
    assert rows[3]["solved"] == "0.333 [0.0615, 0.792]"
    assert rows[3]["half-life after (steps)"] == "20 [10, 30]"
    assert rows[3]["half-life before (steps)"] == "2"  # the same for each seed
    assert (rows[1]["trials"], rows[1]["finished"], rows[1]["failed"]) == ("3", "2", "1")
    assert "diverged" not in rows[0]  # none did


def test_every_trial_has_its_row(sweep):
    rows = {row["trial"]: row for row in Tables(html_of(sweep)).find("seed")}
    assert len(rows) == 12
    assert rows["lstm202"]["setting"] == "lstm, length 20"
    assert (rows["lstm202"]["seed"], rows["lstm202"]["test loss"], rows["lstm202"]["status"]) == (
        "2",
        "0.3",
        "finished",
    )
    assert (rows["rnn402"]["status"], rows["rnn402"]["test loss"]) == ("failed", NOTHING)


def test_what_was_run(sweep):
    write_json(sweep / "sweep.json", read_json(sweep / "sweep.json") | {"config": {"task": {"kwargs": {"values": 3}}}})
    run = RunFolder(sweep / "trials" / "lstm202")
    facts = {"versions": {"jax": "0.0.7"}, "device": "cpu of mine x1", "time": "2020-01-02T03:04:05+00:00"}
    run.append("provenance", facts | {"command": ["python", "/home/someone/secret.py"], "xla_flags": "--dump=/home/me"})
    finish(sweep, "lstm202", train_seconds=7200.0, compile_seconds=1800.0)
    html = html_of(sweep)
    assert "12: 11 finished, 1 failed" in html
    assert "2 training, 0.5 compiling" in html
    assert "0 to 2" in html
    assert "2020-01-02 to 20" in html
    assert "0.0.7" in html
    assert "cpu of mine x1" in html
    assert "someone" not in html
    assert "--dump" not in html
    assert Tables(html).find("value") == [{"setting": "task.kwargs.values", "value": "3"}]


def test_failed_diverged_and_pruned_trials_are_told_with_why_and_where(sweep):
    finish(sweep, "rnn402", traceback="Traceback: line 7 of here")
    finish(sweep, "rnn400", status="pruned", step=300, metrics={"valid": {"loss": 0.7}})
    finish(sweep, "rnn401", status="diverged", step=50, metrics={"test": {"loss": np.nan}})
    html = html_of(sweep)
    assert "MemoryError: no room" in html
    assert "Traceback: line 7 of here" in html
    stopped = next(t for t in Tables(html).tables if t[0] == ["trial", "setting", "status", "step"])
    assert stopped[1:] == [
        ["rnn400", "rnn, length 40", "pruned", "300"],
        ["rnn401", "rnn, length 40", "diverged", "50"],
    ]
    row = summary(open_sweep(sweep)).set_index(["cell", "length"]).loc[("rnn", 40)]
    assert row[["trials", "finished", "diverged", "pruned", "failed"]].tolist() == [3, 0, 1, 1, 1]
    assert "pruned" not in summary(open_sweep(sweep / "trials" / "lstm200"))


def test_numbers_that_are_none_are_shown_as_such(sweep):
    for seed, loss in enumerate((np.nan, np.inf, -np.inf)):
        finish(sweep, f"lstm40{seed}", metrics={"test": {"loss": loss}})
    html = html_of(sweep)
    rows = {row["trial"]: row["test loss"] for row in Tables(html).find("seed")}
    assert [rows[f"lstm40{seed}"] for seed in range(3)] == ["nan", "inf", "-inf"]
    assert 'data-v="Infinity"' in html
    assert 'data-v="-Infinity"' in html


def test_words_from_records_are_never_read_as_markup(sweep):
    there = read_json(sweep / "sweep.json")
    for trial in there["trials"]:
        trial["labels"] = {"cell.name": UNSAFE + trial["overrides"]["cell.name"]}
    write_json(sweep / "sweep.json", there | {"config": {"name": UNSAFE}})
    finish(sweep, "rnn402", reason=UNSAFE, traceback=UNSAFE)
    (sweep / "trials" / "lstm200" / "samples").mkdir()
    (sweep / "trials" / "lstm200" / "samples" / "a.txt").write_text(UNSAFE)
    html = html_of(sweep)
    assert Tables(html).tags.count("script") == 3  # its own
    assert UNSAFE not in html
    assert unescape(html).count(UNSAFE) > 12


@pytest.mark.slow
def test_nothing_is_fetched(sweep):
    html = write(open_sweep(sweep))[-1].read_text()
    for name, value in Tables(html).attributes:
        if name in ("src", "href", "data", "action"):
            assert value.startswith("data:"), value[:80]
    bare = re.sub(r"base64,[A-Za-z0-9+/=]+", "", html)
    assert not re.search(r"https?://|url\(|@import", bare)
    assert "default-src 'none'" in html


def test_what_is_written_and_every_figure_on_the_page_once(sweep):
    paths = write(open_sweep(sweep))
    assert paths[1].read_text() == latex(summary(open_sweep(sweep)))
    names = [path.stem for path in paths if path.suffix == ".svg"]
    html = paths[-1].read_text()
    assert names == re.findall(r'<figure id="(\w+)">', html)
    assert {"learning_curves", "axis_effects", "gradient_norms"} <= set(names)
    assert html.count("data:image/svg+xml") == len(names)
    assert len(re.findall(r'<img [^>]*alt="[^"]{20,}"', html)) == len(names)


def test_a_large_figure_is_embedded_as_a_picture(sweep, monkeypatch):
    monkeypatch.setattr(page, "LARGEST_SVG", 10)
    html = page.render(
        open_sweep(sweep),
        summary(open_sweep(sweep)),
        [
            page.Drawn(
                "axis_effects", axis_effects.caption, style.save(axis_effects(open_sweep(sweep)), sweep / "effects")
            )
        ],
    )
    assert "data:image/svg+xml" not in html
    assert "data:image/png" in html


def test_a_sweep_without_a_finished_trial_and_a_single_run_have_pages(sweep, tmp_path):
    alone = html_of(sweep / "trials" / "lstm401")
    assert "Run</p><h1>lstm401</h1>" in alone
    assert Tables(alone).find("solved")[0]["test loss"] == "0.2"
    none = tmp_path / "none"
    none.mkdir()
    write_json(none / "sweep.json", {"config": {}, "trials": [{"id": "x", "overrides": {"seed": 0}}]})
    assert "1 unfinished" in html_of(none)


def test_the_page_of_packed_records(sweep, tmp_path):
    export(sweep, tmp_path / "packed")
    assert Tables(html_of(tmp_path / "packed")).find("solved") == Tables(html_of(sweep)).find("solved")


def test_long_tables_are_cut_and_say_so(sweep, monkeypatch):
    monkeypatch.setattr(page, "MOST_TRIALS", 5)
    monkeypatch.setattr(page, "MOST_SETTINGS", 2)
    finish(sweep, "rnn200", metrics={"test": {"loss": 9.0}})
    html = html_of(sweep)
    assert "The first 5 of 12" in html
    assert len(Tables(html).find("seed")) == 5
    assert "of the least median test loss, of 4" in html
    # Medians are 0.3, 0.15, 0.2, 0.2: the best two, in the order of the sweep.
    assert [row["test loss"] for row in Tables(html).find("solved")] == ["0.15 [0.1, 0.2]", "0.2 [0.1, 0.3]"]


def test_samples_are_shown_few_and_small(sweep):
    folder = sweep / "trials" / "lstm200" / "samples"
    folder.mkdir()
    for name in ("a.txt", "b.wav", "c.mid", "d.png"):
        (folder / name).write_bytes(b"to be or not")
    (folder / "0.txt").write_bytes(b"x" * 1_500_001)
    html = html_of(sweep)
    assert "<pre>to be or not</pre>" in html
    assert "<audio controls" in html
    assert 'download="c.mid"' in html
    assert "d.png" not in html  # the fourth of its setting
    assert "2 more stand in the trials" in html


def test_columns_that_say_nothing_are_left_out(sweep):
    headings = [column.heading for column in columns(summary(open_sweep(sweep / "trials" / "lstm200")))]
    assert headings[:3] == ["cell", "trials", "test loss"]


def test_a_search_that_has_proposed_nothing_yet_has_a_page(tmp_path):
    write_json(tmp_path / "sweep.json", {"config": {}, "trials": [], "search": SEARCH})
    assert "method tpe, metric loss, mode min" in html_of(tmp_path)
    assert summary(open_sweep(tmp_path)).empty


def test_a_crowded_sweep_has_few_figures(sweep, monkeypatch):
    monkeypatch.setattr("rnngen.report.MOST_SETTINGS", 3)
    paths = write(open_sweep(sweep))
    assert [path.stem for path in paths if path.suffix == ".svg"] == ["axis_effects"]
    assert "are not drawn" in paths[-1].read_text()


def test_results_without_configs(sweep):
    found = open_sweep(sweep).outcomes
    assert list(found.index[:2]) == ["rnn200", "rnn201"]
    assert not [c for c in found if c.startswith("config.")]


def test_the_curves_hold_what_the_records_say(sweep):
    """Of each trial the steps and values of each metric, and the axes that tell it apart; what is not finite is not."""
    run = RunFolder(sweep / "trials" / "rnn201")
    run.append("metrics", {"step": 200, "split": "valid", "loss": np.inf})
    run.append("metrics", {"step": 200, "split": "train", "loss": 0.123456})
    found = curves(open_sweep(sweep))
    assert found["axes"] == [["cell", ["rnn", "lstm"]], ["length", ["20", "40"]], ["seed", ["0", "1", "2"]]]
    assert found["colours"] == ["#D55E00", "#0072B2"]
    assert found["trials"][1] == ["rnn201", 0, 0, 1]
    assert found["trials"][-1] == ["lstm402", 1, 1, 2]
    valid, train = found["metrics"]
    assert (valid["name"], train["name"]) == ("valid loss", "train loss")
    assert valid["steps"] == [[0, 100], [0, 100, 200]]
    assert valid["series"][:2] == [[0, [1.0, 0.1]], [1, [1.0, 0.2, None]]]
    assert train["series"] == [None, [0, [0.1235]], *[None] * 10]
    assert found["left_out"] == 0


def test_curves_of_many_points_are_thinned_to_their_ends(sweep, monkeypatch):
    monkeypatch.setattr("rnngen.report.curves.MOST_POINTS", 12 * 3)
    monkeypatch.setattr("rnngen.report.curves.MOST_TRIALS", 11)
    run = RunFolder(sweep / "trials" / "rnn200")
    for step in range(101, 131):
        run.append("metrics", {"step": step, "split": "valid", "loss": float(step)})
    found = curves(open_sweep(sweep))
    (valid,) = found["metrics"]
    assert valid["steps"][0] == [0, 115, 130]
    assert valid["series"][0] == [0, [1.0, 115.0, 130.0]]
    assert (len(found["trials"]), found["left_out"]) == (11, 1)


def test_records_without_metrics_have_no_curves(tmp_path):
    write_json(tmp_path / "sweep.json", {"config": {}, "trials": [{"id": "x", "overrides": {"seed": 0}}]})
    assert curves(open_sweep(tmp_path)) is None
