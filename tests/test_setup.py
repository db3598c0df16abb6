"""What the scripts install: the demo rnngen alone, tests and docs what they need beside it, and nothing twice."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYTHON = """#!/bin/bash
# In the place of a Python: notes what it is asked to install.
case "$*" in
  *"venv --clear"*) mkdir -p "${@: -1}/bin" && cp "$0" "${@: -1}/bin/python" && echo made >> "$NOTED" ;;
  *"pip install"*) sleep 0.3; echo "${@: -1}" >> "$NOTED" ;;
  *flock*) exec "$REAL" "$@" ;;
  -V*) echo "Python 3.11.7" ;;
esac
"""


@pytest.fixture
def source(tmp_path):
    """(what comes before, how often at once) -> what was installed by sourcing the setup."""
    python, noted = tmp_path / "python", tmp_path / "noted"
    python.write_text(PYTHON)
    python.chmod(0o755)
    place = os.path.relpath(tmp_path / "venv", ROOT)
    given = {"RNNGEN_PYTHON": str(python), "RNNGEN_VENV": place, "NOTED": str(noted), "REAL": sys.executable}

    def run(before="", times=1):
        noted.write_text("")
        line = ["bash", "-c", f"{before} source '{ROOT}/scripts/setup.sh'"]
        begun = [subprocess.Popen(line, env=os.environ | given, stdout=subprocess.DEVNULL) for _ in range(times)]
        assert [process.wait() for process in begun] == [0] * times
        return noted.read_text().replace(str(ROOT), "rnngen").split()

    return run


def test_each_script_installs_what_it_needs_and_once(source):
    assert "extras=\nsource" in (ROOT / "scripts" / "demo").read_text()
    assert source("extras=;") == ["made", "rnngen"]
    assert source("extras=;") == []
    assert source() == ["rnngen[dev]"]  # into what the demo made
    assert "extras=[docs]\nsource" in (ROOT / "scripts" / "docs").read_text()
    assert source("extras=[docs];") == ["rnngen[docs]"]  # beside it
    assert source() == source("extras=;") == source("extras=[docs];") == []


def test_of_scripts_that_begin_together_one_installs(source):
    assert source(times=3) == ["made", "rnngen[dev]"]
    assert source("extras=[docs];", times=3) == ["rnngen[docs]"]
