"""The page of the kit: its code as pasted, run by someone with an empty folder."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
BLOCK = re.compile(r"```(bash|python)\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def pasted(tmp_path_factory):
    """A folder with the page's files in it, and its commands."""
    folder, commands = tmp_path_factory.mktemp("kit"), []
    (folder / "configs").symlink_to(ROOT / "configs")
    for language, code in BLOCK.findall((ROOT / "rnngen" / "cells" / "README.md").read_text()):
        if language == "python":
            (folder / re.match(r"# (\w+\.py)\n", code)[1]).write_text(code)
        else:
            commands += code.strip().splitlines()
    return folder, commands


def run(folder, *command):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_commands(pasted):
    folder, commands = pasted
    assert len(commands) == 2
    for command in commands:
        name, *arguments = command.split()
        run(folder, str(Path(sys.executable).parent / name), *arguments)
    assert (folder / "runs" / "leaky" / "result.json").exists()


def test_the_test_and_the_gated_cell(pasted):
    folder, _ = pasted
    mine = (folder / "test_my_lab.py").read_text()
    (folder / "test_my_gates.py").write_text(mine.replace("my_lab", "my_gates").replace("leaky", "ugrnn"))
    assert "2 passed" in run(folder, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", ".")
