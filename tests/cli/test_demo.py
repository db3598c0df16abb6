"""`rnngen demo`, on records of it that are there: it trains nothing twice, and draws the headline figure."""

from pathlib import Path

import pytest

from rnngen.cli.main import main
from rnngen.runs import open_folder
from rnngen.runs.export import read_folder
from rnngen.storage.folder import TABLES, RunFolder
from rnngen.storage.jsonl import write_json

RECORDS = Path(__file__).parents[2] / "experiments" / "gradient_norms"


@pytest.mark.slow
def test_a_demo_that_is_trained_is_drawn(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    plan, runs = read_folder(RECORDS, all=True)
    folder = tmp_path / "runs" / "demo"
    for run in runs:
        made = RunFolder(folder / "trials" / run.name)
        made.path.mkdir(parents=True)
        for table in TABLES:
            for row in run.rows(table):
                made.append(table, row)
        write_json(made.path / "config.json", run.config())
        made.finish(run.result())
    write_json(folder / "sweep.json", plan)

    assert main(["demo", "--workers=1"]) == 0
    out = capsys.readouterr().out
    assert "runs/demo/figures/gradient_norms_over_time.png" in out
    assert (folder / "figures" / "gradient_norms_over_time.png").stat().st_size > 10_000
    assert (folder / "report.html").exists()
    assert open_folder(folder).status == {"finished": 18}
    assert sorted(path.name for path in folder.glob("trials/*")) == sorted(run.name for run in runs)
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
