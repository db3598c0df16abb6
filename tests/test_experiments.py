"""Every figure and every number of the experiments comes from committed records, without training."""

import importlib.util
import re
import shutil
from pathlib import Path

import pytest

from rnngen.report import write
from rnngen.report.tables import markdown

EXPERIMENTS = Path(__file__).parent.parent / "experiments"
OWN = ("figure_4", "horizon_and_success")  # drawn by the experiment itself
RECORDS = sorted(path.parent for path in EXPERIMENTS.rglob("records.jsonl.gz"))


def owner(folder):
    """The name of the experiment that a folder of records belongs to."""
    return folder.relative_to(EXPERIMENTS).parts[0]


def module(name):
    spec = importlib.util.spec_from_file_location(name, EXPERIMENTS / f"{name}.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.mark.parametrize("folder", RECORDS, ids=lambda folder: folder.name)
def test_every_figure_is_redrawn_from_its_records(folder, tmp_path):
    shutil.copy(folder / "records.jsonl.gz", tmp_path)
    drawn = {path.name for path in write(tmp_path)}
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
    for line in markdown(experiment.table(folder)).splitlines():
        assert line in readme
