"""The page on adding a cell, of which `tests/docs` runs the commands: its files, and cells written from it alone."""

import inspect
import re
import subprocess
import sys

import kit_cells
import pytest
from conftest import assert_close, noise, random_params, unrolled
from pasted import ROOT, blocks

from rnngen.cells import CELLS
from rnngen.testing import check_cell
from rnngen.testing.facts import horizon


@pytest.fixture(scope="module")
def pasted(tmp_path_factory):
    """A folder with the page's files in it."""
    folder = tmp_path_factory.mktemp("kit")
    for block in blocks(ROOT / "docs" / "how_to" / "add_a_cell.md"):
        if block.language == "python":
            (folder / re.match(r"# (\w+\.py)\n", block.code)[1]).write_text(block.code)
    return folder


def run(folder, *command):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_the_test_and_the_gated_cell(pasted):
    mine = (pasted / "test_my_lab.py").read_text()
    (pasted / "test_my_gates.py").write_text(mine.replace("my_lab", "my_gates").replace("leaky", "ugrnn"))
    assert "2 passed" in run(pasted, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", ".")


@pytest.mark.slow
@pytest.mark.parametrize("cell", [kit_cells.peephole_lstm, kit_cells.multiplicative_lstm, kit_cells.counting])
def test_cells_written_from_the_page_alone(cell):
    lines = [line for line in inspect.getsource(cell).splitlines() if line.strip()]
    assert len(lines) <= 30
    check_cell(cell(3))


@pytest.mark.slow
def test_the_peephole_lstm_is_the_built_in_one():
    cell, built_in = kit_cells.peephole_lstm(3), CELLS["lstm"](3, peepholes=True)
    params = random_params(cell, 2)
    xs = noise((5, 2, 2))
    assert_close(unrolled(cell, params, xs)[1], unrolled(built_in, params, xs)[1], 1e-6)


@pytest.mark.slow
def test_a_gradient_that_ends_is_told():
    assert horizon(kit_cells.counting(3)).endswith("the gradient does not pass the last step")
