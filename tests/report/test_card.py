"""`rnngen card`: checks, trials and a page, beside the records that come with rnngen."""

import math

import my_lab
import pytest

import rnngen
from rnngen.cli.card import CONFIG
from rnngen.cli.main import main
from rnngen.config import shipped
from rnngen.report import card
from rnngen.runs import open_sweep
from rnngen.testing.report import Report

SIZES = [size for size in ("quick", "full") if (card.RECORDS / size).exists()]


@pytest.fixture(scope="module")
def quick():
    return open_sweep(card.RECORDS / "quick")


@pytest.mark.parametrize("size", SIZES)
def test_the_records_are_those_of_the_config(size):
    sweep, plan = open_sweep(card.RECORDS / size), shipped(CONFIG)
    assert len(sweep) == len(plan.get_sweep(quick=size == "quick"))
    assert set(sweep.axes["cell"]) == set(plan.CELLS)
    assert (sweep.results["config.cell.kwargs.hidden_dim"] == plan.WIDTH).all()
    assert sweep.outcomes["status"].isin(["finished", "diverged"]).all()


def test_the_table_is_what_the_best_rate_has(quick):
    rows = card.table(quick).set_index("cell")
    adding = quick.results[quick.results["label.task"] == "adding"]
    for cell, group in adding.groupby("label.cell"):
        assert float(rows.loc[cell, "adding solved"]) == group["solved"].max()
    recall = quick.results[(quick.results["label.task"] == "recall") & (quick.results["label.cell"] == "RNN")]
    best = recall.sort_values(["solved", "metrics.test.loss"], ascending=[False, True]).iloc[0]
    assert rows.loc["RNN", "recall"] == f"{best['metrics.test.accuracy']:.2f}"


def test_a_cell_that_comes_with_rnngen_stands_there_once(quick):
    both = card.beside(quick, card.RECORDS / "quick")
    assert len(both) == len(quick)
    assert list(card.table(both)["cell"]) == list(card.table(quick)["cell"])


def test_a_cell_whose_trials_all_failed_has_dashes(quick):
    failed = {trial["id"] for trial in quick.plan["trials"] if trial["labels"]["cell"] == "LSTM"}
    ended = type(quick)(quick.path, quick.plan, [run for run in quick.runs if run.name not in failed])
    rows = card.table(ended).set_index("cell")
    assert (rows.loc["LSTM"] == "-").all()
    assert (rows.drop("LSTM") == card.table(quick).set_index("cell").drop("LSTM")).all(axis=None)


def test_the_page_has_the_table_the_checks_and_the_facts(quick, tmp_path):
    trials = [trial for trial in quick.plan["trials"] if trial["labels"]["cell"] == "GRU"]
    kept = {trial["id"] for trial in trials}
    own = type(quick)(tmp_path, quick.plan | {"trials": trials}, [run for run in quick.runs if run.name in kept])
    made = card.write(own, "mine & yours", ["ok   one", "ok   two"], ["a fact"], quick=True)
    page = made.page.read_text()
    assert "<h1>mine &amp; yours</h1>" in page
    assert "2 checks, all pass" in page
    assert "<li>a fact</li>" in page
    assert 'id="gradient_norms"' in page
    assert list(made.table["cell"]) == ["GRU", "RNN", "LSTM", "minGRU", "delta rule"]


@pytest.mark.slow
def test_the_command_makes_a_card_and_says_where(tmp_path, capsys):
    command = ["card", "my_lab:leaky", "--quick", f"--workdir={tmp_path}", "--workers=1"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[-1] == str(tmp_path / "card.html")
    assert "| leaky | " in said
    assert not math.isnan(open_sweep(tmp_path).outcomes["metrics.test.loss"].iloc[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nosuch"], "config.cell.name: unknown cell 'nosuch'"),
        (["gru", "--hidden=3"], "gru has no such argument; did you mean 'hidden_dim'"),
        (["attention"], "attention is a control, which is not recurrent, and no cell"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(arguments, message, tmp_path, capsys):
    assert main(["card", *arguments, f"--workdir={tmp_path / 'new'}"]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_a_cell_called_like_one_that_comes_with_rnngen_is_another(tmp_path, monkeypatch):
    spaces = []
    monkeypatch.setattr(my_lab, "RNN", my_lab.leaky, raising=False)
    monkeypatch.setattr("rnngen.sweep.run", lambda config, space, *_, **__: spaces.append(space))
    monkeypatch.setattr(card, "write", lambda *_: None)
    monkeypatch.setattr("rnngen.testing.examine_cell", lambda *_, **__: Report(()))
    rnngen.card("my_lab:RNN", tmp_path, quick=True)
    assert {trial["cell"].label for trial in spaces[0]} == {"my_lab:RNN"}


def test_a_broken_cell_has_no_card(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend("tests/testing")
    assert main(["card", "faulty:is_wider_than_it_says", f"--workdir={tmp_path / 'new'}"]) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("the cell breaks ")
    assert not (tmp_path / "new").exists()
