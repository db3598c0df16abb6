"""The code blocks of a page, run as a reader would paste them: one after another, in a folder of their own."""

import functools
import inspect
import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

import jax
import matplotlib.pyplot as plt

from rnngen.cli.main import main
from rnngen.config import defaults
from rnngen.datasets import TASKS
from rnngen.training import TrainConfig

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
    """Run the wanted blocks, each as a process of its own."""
    for block in _saved(page, folder, wanted):
        python = [sys.executable, "-W", "error", "-c", block.code]
        _run(["bash", "-euc", block.code] if block.language == "bash" else python, folder)


def paste_here(page, folder, monkeypatch, wanted=lambda note: not note):
    """Run the wanted blocks in this process, which has imported already what each of them would.

    A Python block sees what those before it have defined, as in a notebook.
    """
    _default_to_small_sets(monkeypatch)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    names = {"__name__": "__main__"}
    try:
        # As in a program of one's own.
        with jax.numpy_dtype_promotion("standard"), jax.debug_key_reuse(False):
            for block in _saved(page, folder, wanted):
                if block.language == "python":
                    exec(compile(block.code, page.name, "exec"), names)
                else:
                    _commands(block.code, folder)
    finally:
        plt.close("all")
        for name, module in list(sys.modules.items()):
            if Path(getattr(module, "__file__", None) or ROOT).is_relative_to(folder):
                del sys.modules[name]


def _default_to_small_sets(monkeypatch):
    """Where a page says nothing of their size: programs that LLVM did not optimise take long over large ones."""
    monkeypatch.setattr(defaults, "TrainConfig", functools.partial(TrainConfig, batch_size=4))
    for name, task in TASKS.items():
        if "eval_size" in inspect.signature(task).parameters:
            monkeypatch.setitem(TASKS, name, functools.partial(task, eval_size=50))


def _saved(page, folder, wanted):
    """Yield the wanted blocks that are run; save the others, as they say."""
    for block in blocks(page):
        if wanted(block.note) and (saved := _FILE.match(block.code)):
            (folder / saved[1]).write_text(block.code)
        elif wanted(block.note):
            yield block


def _commands(code, folder):
    """Run a block of the shell, a command a line, those of rnngen in this process."""
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["rnngen"]:
            assert main(words[1:]) == 0, line
        else:
            _run(["bash", "-euc", line], folder)


def _run(command, folder):
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout}\n{done.stderr}"
