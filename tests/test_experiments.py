"""Every figure and every number of the experiments comes from committed records, without training."""

import importlib.util
import re
import runpy
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

from rnngen.report import write
from rnngen.report.experiment import AFTER, BEFORE, before_and_after, outcomes
from rnngen.report.tables import markdown
from rnngen.runs import open_sweep, record_folders

EXPERIMENTS = Path(__file__).parent.parent / "experiments"
# Drawn by the experiment itself.
OWN = (
    "figure_4",
    "gradient_norms_over_time",
    "horizon_and_success",
    "doses",
    "iterations",
    "sensitivities",
    "rules",
    "rules_losses",
    "credit",
    "lengths_state_tracking",
    "lengths_groups",
    "lengths_rates",
    "lengths_s5",
    "lengths_ten_seeds",
    "windows",
    "windows_and_reach",
    "recall",
    "recall_and_reach",
)
SCRIPTS = sorted(path.stem for path in EXPERIMENTS.glob("*.py"))
RECORDS = sorted(path.parent for path in EXPERIMENTS.rglob("records.jsonl.gz"))


def owner(folder):
    """The name of the experiment that a folder of records belongs to."""
    return folder.relative_to(EXPERIMENTS).parts[0]


def module(name):
    spec = importlib.util.spec_from_file_location(name, EXPERIMENTS / f"{name}.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("folder", RECORDS, ids=lambda folder: folder.name)
def test_every_figure_is_redrawn_from_its_records(folder, tmp_path):
    shutil.copy(folder / "records.jsonl.gz", tmp_path)
    drawn = {path.name for path in write(open_sweep(tmp_path))}
    assert (tmp_path / "table.csv").read_bytes() == (folder / "table.csv").read_bytes()
    readme = (EXPERIMENTS / owner(folder) / "README.md").read_text()
    here = str(folder.relative_to(EXPERIMENTS / owner(folder)))
    shown = {Path(target) for target in re.findall(r"!\[[^]]*\]\(([^)]+)\)", readme)}
    for target in shown:
        assert (EXPERIMENTS / owner(folder) / target).exists(), target
    ours = {target.name for target in shown if str(target.parent.parent) == here and target.stem not in OWN}
    assert ours <= drawn


@pytest.mark.parametrize("folder", RECORDS, ids=lambda folder: folder.name)
def test_records_are_small(folder):
    assert (folder / "records.jsonl.gz").stat().st_size < 2_000_000


@pytest.mark.parametrize("folder", RECORDS, ids=lambda folder: folder.name)
def test_tables_are_what_the_records_say(folder):
    readme = (EXPERIMENTS / owner(folder) / "README.md").read_text()
    experiment = module(folder.name if (EXPERIMENTS / f"{folder.name}.py").exists() else owner(folder))
    for line in markdown(experiment.table(open_sweep(folder))).splitlines():
        assert line in readme


def run_script(monkeypatch, name, *arguments):
    """`python experiments/<name>.py ARGUMENTS`: its exit status."""
    path = str(EXPERIMENTS / f"{name}.py")
    monkeypatch.setattr(sys, "argv", [path, *arguments])
    try:
        runpy.run_path(path, run_name="__main__")
    except SystemExit as ended:
        return ended.code
    return 0


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_has_help_and_refuses_a_folder_without_records(name, tmp_path, monkeypatch, capsys):
    assert run_script(monkeypatch, name, "--help") == 0
    said = capsys.readouterr().out
    assert (EXPERIMENTS / f"{name}.py").read_text().splitlines()[0].strip('"') in said
    assert "[folder]" in said
    assert run_script(monkeypatch, name, str(tmp_path)) == 2
    assert str(tmp_path) in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_script_takes_the_records_of_a_folder(tmp_path, monkeypatch, capsys):
    """All there are in it: its own, and those of the folders within."""
    for part in ("", "longer"):
        (tmp_path / part).mkdir(exist_ok=True)
        shutil.copy(EXPERIMENTS / "binarised_mnist" / part / "records.jsonl.gz", tmp_path / part)
    assert run_script(monkeypatch, "binarised_mnist", str(tmp_path)) == 0
    assert (tmp_path / "table.csv").exists()
    assert (tmp_path / "longer" / "report.html").exists()
    assert capsys.readouterr().out.count("| test nats an image |") == 2
    assert run_script(monkeypatch, "char_rnn", str(tmp_path)) == 2
    assert "holds another experiment" in capsys.readouterr().err


def test_a_report_of_a_folder_is_of_all_records_in_it():
    assert [path.name for path in record_folders(EXPERIMENTS / "zoo")] == ["zoo", "delta_rule"]
    assert len(record_folders(EXPERIMENTS / "bai2018_table1")) == 7


@pytest.mark.slow
def test_reach_against_success_is_what_all_records_say():
    script = module("reach_and_success")
    told = markdown(script.table(script.trials(EXPERIMENTS))).splitlines()
    readme = (EXPERIMENTS / "reach_and_success" / "README.md").read_text()
    assert len(told) > 8
    for target in re.findall(r"!\[[^]]*\]\(([^)]+)\)", readme):
        assert (EXPERIMENTS / "reach_and_success" / target).exists()
    for line in told:
        assert line in readme


def test_how_often_one_reaches_farther():
    farther = module("reach_and_success").farther
    assert farther([3.0, float("inf")], [1.0, 2.0]) == 1
    assert farther([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]) == 0.5
    assert farther([1.0, 5.0], [2.0, 3.0]) == 0.5
    assert farther([2.0], [1.0, 2.0, 3.0, 4.0]) == (1 + 0.5) / 4


def test_the_median_of_half_lives_is_told_where_some_are_infinite():
    inf, nan = float("inf"), float("nan")
    told = {(3.0, 1.0, 2.0): "2.0", (inf, 4.0, nan): "4.0", (inf, 4.0, inf): ">1000", (nan, nan): "-"}
    for values, median in told.items():
        assert before_and_after(pd.DataFrame({BEFORE: [1.0] * len(values), AFTER: values}), 1000) == f"1.0 to {median}"


def test_outcomes_are_those_of_the_results():
    sweep = open_sweep(EXPERIMENTS / "recall")
    frame, results = outcomes(sweep, "status"), sweep.results.set_index("trial")
    assert list(frame.index) == list(sweep.axes.index)
    assert frame["solved"].dtype == bool
    assert frame["updates"].notna().equals(frame["solved"])
    assert frame["solved"].sum() == 1
    assert frame["loss"].equals(results["metrics.valid.loss"].rename("loss"))
    unmeasured = outcomes(open_sweep(EXPERIMENTS / "state_tracking" / "s5"))
    assert unmeasured[AFTER].isna().all()
