"""The README's code blocks, run as pasted, one after another, by a user with an empty `runs/`."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"(?:<!-- (?P<note>.*?) -->\n)?```(?P<language>bash|python)\n(?P<code>.*?)```", re.DOTALL)


def blocks():
    return [match.groupdict() for match in BLOCK.finditer((ROOT / "README.md").read_text())]


def run_blocks(folder, wanted):
    for name in ("configs", "experiments"):
        (folder / name).symlink_to(ROOT / name)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for block in blocks():
        note, code = block["note"] or "", block["code"]
        if not wanted(note):
            continue
        saved = re.match(r"# (\w+\.py)\n", code)
        if saved:
            (folder / saved[1]).write_text(code)
            continue
        command = ["bash", "-euc", code] if block["language"] == "bash" else [sys.executable, "-W", "error", "-c", code]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"


@pytest.mark.slow
def test_blocks_as_pasted(tmp_path):
    run_blocks(tmp_path, lambda note: not note)
    assert (tmp_path / "runs" / "latch" / "figures" / "gradient_norms.png").exists()
    assert (tmp_path / "runs" / "leaky" / "result.json").exists()
    assert (tmp_path / "runs" / "reference" / "samples" / "seed0-temperature0.7.txt").read_text().startswith("The ")
    assert len(list((tmp_path / "runs" / "search" / "trials").iterdir())) == 3
    assert (tmp_path / "runs" / "why" / "figures" / "lyapunov_spectra.png").exists()
    assert (tmp_path / "runs" / "why" / "inspect.html").exists()


@pytest.mark.slow
def test_the_headline_figure_as_pasted(tmp_path):
    run_blocks(tmp_path, lambda note: note.startswith("slow"))
    assert (tmp_path / "runs" / "demo" / "figures" / "gradient_norms_over_time.png").exists()


def test_every_block_is_accounted_for():
    notes = [block["note"] or "" for block in blocks()]
    assert len(notes) == 18
    assert sum(note.startswith("slow") for note in notes) == 1
    assert sum(note.startswith("not run") for note in notes) == 1


def test_links_lead_somewhere():
    text = "\n".join(path.read_text() for path in [ROOT / "README.md", ROOT / "experiments" / "README.md"])
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / target).exists() or (ROOT / "experiments" / target).exists(), target
