"""The code blocks of a page, run as a reader would paste them: one after another, in a folder of their own."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
_BLOCK = re.compile(
    r"(?: *<!-- (?P<note>.*?) -->\n)?^(?P<pad> *)```(?P<language>bash|python)\n(?P<code>.*?)^(?P=pad)```", re.M | re.S
)
_FILE = re.compile(r"# (\w+\.py)\n")  # at its head, what the reader is to save it as


class Block(NamedTuple):
    """A block, and the remark before it, which says why it is not run, or is run among the slow tests."""

    language: str
    code: str
    note: str


def blocks(page):
    """The blocks of a page, in order."""
    found = (match.groupdict() for match in _BLOCK.finditer(page.read_text()))
    return [Block(of["language"], textwrap.dedent(of["code"]), of["note"] or "") for of in found]


def paste(page, folder, wanted=lambda note: not note):
    """Run the wanted blocks; a Python block sees what those before it have defined, as in a notebook."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    wanted_blocks, before = [block for block in blocks(page) if wanted(block.note)], ""
    for number, block in enumerate(wanted_blocks):
        if saved := _FILE.match(block.code):
            (folder / saved[1]).write_text(block.code)
            continue
        if block.language == "bash":
            command = ["bash", "-euc", block.code]
        else:
            before += block.code
            if _goes_on(wanted_blocks[number + 1 :]):
                continue  # both in one process
            command = [sys.executable, "-W", "error", "-c", before]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{block.code}\n{done.stdout}\n{done.stderr}"


def _goes_on(rest):
    """Return True if the next block that is run, and not only saved, is of Python."""
    return next((block.language == "python" for block in rest if not _FILE.match(block.code)), False)
