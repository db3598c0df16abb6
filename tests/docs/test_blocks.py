"""The code blocks of the docs' pages, run as pasted in an empty folder. Notebooks are run where the docs are built."""

import re

import pytest
from pasted import ROOT, blocks, paste, paste_here

from rnngen.cli import demo
from rnngen.runs import open_folder

DOCS = ROOT / "docs"
IS_NOTEBOOK = re.compile(r"\A---\n.*?^kernelspec:", re.M | re.S)
PAGES = {
    str(page.relative_to(DOCS).with_suffix("")): page
    for page in sorted(DOCS.rglob("*.md"))
    if not IS_NOTEBOOK.match(page.read_text()) and blocks(page)
}
FIRST = "getting_started"  # by the installed command, as a reader does
QUICK = ("concepts/carry", "concepts/horizon")
NOTES = ("not run by the tests: ", "slow: ")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in PAGES if name != FIRST]
)
def test_blocks_as_pasted(name, tmp_path, monkeypatch, store):
    paste_here(PAGES[name], tmp_path, monkeypatch)


@pytest.mark.slow
def test_the_first_page_by_the_installed_command(tmp_path):
    paste(PAGES[FIRST], tmp_path)
    assert (tmp_path / "runs" / "latch" / "report.html").exists()


SHORT_DEMO = """from rnngen.config import shipped

demo = shipped("sweeps/demo")


def get_config():
    return demo.get_config()


def get_sweep():
    return [trial | {"train.steps": 20} for trial in demo.get_sweep() if trial["seed"] == 0]
"""


@pytest.mark.slow
def test_the_demo_as_pasted(tmp_path, monkeypatch):
    """Its own sweep, of one seed and few steps: all of it takes two minutes on two cores."""
    (tmp_path / "short.py").write_text(SHORT_DEMO)
    monkeypatch.setattr(demo, "CONFIG", str(tmp_path / "short.py"))
    paste_here(PAGES[FIRST], tmp_path, monkeypatch, lambda note: note.startswith("slow"))
    assert open_folder(tmp_path / "runs" / "demo").status == {"finished": 6}
    assert (tmp_path / "runs" / "demo" / "figures" / "gradient_norms_over_time.png").exists()


def test_there_are_many_and_each_that_is_not_run_says_why():
    found = [block for page in PAGES.values() for block in blocks(page)]
    assert len(PAGES) > 40
    assert sum(not block.note for block in found) > 80
    assert {block.note for block in found if block.note and not block.note.startswith(NOTES)} == set()


@pytest.mark.parametrize("name", PAGES)
def test_python_blocks_are_python(name):
    for block in blocks(PAGES[name]):
        if block.language == "python":
            compile(block.code, name, "exec")
