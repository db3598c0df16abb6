"""What the scripts install: the demo rnngen alone, tests and docs what they need beside it, and nothing twice."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
PYTHON = """#!/bin/bash
# In the place of a Python: notes what it is asked to install.
case "$*" in
  *"venv --clear"*) mkdir -p "${@: -1}/bin" && cp "$0" "${@: -1}/bin/python" && echo made >> "$NOTED" ;;
  *"pip install"*) echo "${@: -1}" >> "$NOTED" ;;
  -V*) echo "Python 3.11.7" ;;
esac
"""


def test_each_script_installs_what_it_needs_and_once(tmp_path):
    python, noted = tmp_path / "python", tmp_path / "noted"
    python.write_text(PYTHON)
    python.chmod(0o755)
    place = os.path.relpath(tmp_path / "venv", ROOT)
    environment = os.environ | {"RNNGEN_PYTHON": str(python), "RNNGEN_VENV": place, "NOTED": str(noted)}

    def source(before=""):
        noted.write_text("")
        line = f"{before} source '{ROOT}/scripts/setup.sh'"
        subprocess.run(["bash", "-c", line], env=environment, check=True, capture_output=True)
        return noted.read_text().replace(str(ROOT), "rnngen").split()

    assert "extras=\nsource" in (ROOT / "scripts" / "demo").read_text()
    assert source("extras=;") == ["made", "rnngen"]
    assert source("extras=;") == []
    assert source() == ["rnngen[dev]"]  # into what the demo made
    assert "extras=[docs]\nsource" in (ROOT / "scripts" / "docs").read_text()
    assert source("extras=[docs];") == ["rnngen[docs]"]  # beside it
    assert source() == source("extras=;") == source("extras=[docs];") == []
