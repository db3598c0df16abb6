"""The README's code blocks, run as pasted, one after another, by a user with an empty `runs/`."""

import re

import pytest
from pasted import ROOT, blocks, paste

README = ROOT / "README.md"


@pytest.mark.slow
def test_blocks_as_pasted(tmp_path):
    for name in ("configs", "experiments"):
        (tmp_path / name).symlink_to(ROOT / name)
    paste(README, tmp_path)
    assert (tmp_path / "runs" / "latch" / "figures" / "gradient_norms.png").exists()
    assert (tmp_path / "runs" / "mine" / "result.json").exists()


def test_every_block_is_accounted_for():
    notes = [block.note for block in blocks(README)]
    assert len(notes) == 5
    assert sum(note.startswith("not run") for note in notes) == 1


def test_it_is_read_in_a_few_minutes():
    assert len(README.read_text().splitlines()) <= 120


def test_links_lead_somewhere():
    text = "\n".join(path.read_text() for path in [README, ROOT / "experiments" / "README.md"])
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / target).exists() or (ROOT / "experiments" / target).exists(), target
