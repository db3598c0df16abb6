"""The page on adding a cell: its code as pasted, run by someone with an empty folder."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import kit_cells
import pytest
from conftest import assert_close, noise, random_params, unrolled

from rnngen.cells import CELLS
from rnngen.testing import check_cell
from rnngen.testing.facts import horizon

ROOT = Path(__file__).parent.parent.parent
BLOCK = re.compile(r"```(bash|python)\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def pasted(tmp_path_factory):
    """A folder with the page's files in it, and its commands."""
    folder, commands = tmp_path_factory.mktemp("kit"), []
    for language, code in BLOCK.findall((ROOT / "docs" / "how_to" / "add_a_cell.md").read_text()):
        if language == "python":
            (folder / re.match(r"# (\w+\.py)\n", code)[1]).write_text(code)
        else:
            commands += code.strip().splitlines()
    return folder, commands


def run(folder, *command):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_the_commands(pasted):
    folder, commands = pasted
    assert len(commands) == 2
    for command in commands:
        name, *arguments = command.split()
        run(folder, str(Path(sys.executable).parent / name), *arguments)
    assert (folder / "runs" / "leaky" / "result.json").exists()


@pytest.mark.slow
def test_the_test_and_the_gated_cell(pasted):
    folder, _ = pasted
    mine = (folder / "test_my_lab.py").read_text()
    (folder / "test_my_gates.py").write_text(mine.replace("my_lab", "my_gates").replace("leaky", "ugrnn"))
    assert "2 passed" in run(folder, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", ".")


@pytest.mark.slow
@pytest.mark.parametrize("cell", [kit_cells.peephole_lstm, kit_cells.multiplicative_lstm, kit_cells.counting])
def test_cells_written_from_the_page_alone(cell):
    lines = [line for line in inspect.getsource(cell).splitlines() if line.strip()]
    assert len(lines) <= 30
    check_cell(cell(3))


def test_the_peephole_lstm_is_the_built_in_one():
    cell, built_in = kit_cells.peephole_lstm(3), CELLS["lstm"](3, peepholes=True)
    params = random_params(cell, 2)
    xs = noise((5, 2, 2))
    assert_close(unrolled(cell, params, xs)[1], unrolled(built_in, params, xs)[1], 1e-6)


@pytest.mark.slow
def test_a_gradient_that_ends_is_told():
    assert horizon(kit_cells.counting(3)).endswith("the gradient does not pass the last step")
