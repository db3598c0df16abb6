"""The laws of a cell, tried one after another, and what came of it for a person to act on."""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax

from rnngen.cells import Cell
from rnngen.testing import contract, runs, sequences, structures
from rnngen.testing.case import SMALLER, USUAL, Broken, Case, Sizes
from rnngen.testing.facts import facts
from rnngen.testing.structures import CLAIMS

CONTRACT = (contract.init, contract.init_carry, contract.step, contract.output, contract.dtypes, contract.pure)
REST = (
    contract.compiles_once,
    contract.observe,
    sequences.causal,
    sequences.batch,
    sequences.mask,
    sequences.resets,
    sequences.loop,
    sequences.split,
    structures.gated,
    structures.pointwise,
    structures.affine,
    structures.diagonal,
    runs.long,
    runs.engines,
)
LAWS: dict[str, Callable[[Case], None]] = {law.__name__: law for law in (*CONTRACT, *REST)}


OURS = str(Path(__file__).parent.parent)


class Finding(NamedTuple):
    """One law of one cell. wrong: by what it is broken, and the smallest sizes that show it; "" where it is kept."""

    law: str
    says: str
    wrong: str = ""

    def __str__(self):
        width = max(map(len, LAWS))
        line = f"{'BAD' if self.wrong else 'ok '}  {self.law:<{width}}  {self.says}"
        return f"{line}\n     {'':<{width}}  {self.wrong}" if self.wrong else line


class Report(NamedTuple):
    """findings: laws in the order they were tried; facts: lines about a cell that keeps them all."""

    findings: tuple[Finding, ...]
    facts: tuple[str, ...] = ()

    @property
    def broken(self) -> tuple[str, ...]:
        """The names of the laws that are broken."""
        return tuple(finding.law for finding in self.findings if finding.wrong)

    def __str__(self):
        return "\n".join([*map(str, self.findings), *self.rest()])

    def rest(self) -> list[str]:
        """The lines after those of the findings."""
        untried = bool(self.broken) and LAWS[self.findings[-1].law] in CONTRACT
        return [*(["the other laws rest on this one, and were not tried"] if untried else []), *self.facts]


def examine_cell(
    cell: Cell, measure: bool = True, on_finding: Callable[[Finding], object] = lambda finding: None
) -> Report:
    """Every law of a cell. measure: also its speed and memory horizon, where it keeps them all.

    on_finding gets each finding as it is made. Raises ValueError for something else than a Cell.
    """
    if not isinstance(cell, Cell):
        raise ValueError(f"expected a Cell, got {cell!r:.80}")
    findings: list[Finding] = []
    for law in (*CONTRACT, *REST):
        # What breaks the contract fails in any other way too, and says less of why.
        if any(finding.wrong for finding in findings if LAWS[finding.law] in CONTRACT):
            break
        if law not in CLAIMS or CLAIMS[law](cell):
            findings.append(Finding(law.__name__, (law.__doc__ or "").strip(), _wrong(law, cell)))
            on_finding(findings[-1])
    kept = not any(finding.wrong for finding in findings)
    return Report(tuple(findings), tuple(facts(cell)) if kept and measure else ())


def check_cell(cell: Cell) -> None:
    """Raise AssertionError, with the whole report, unless a cell keeps every law: for one's own tests."""
    report = examine_cell(cell, measure=False)
    assert not report.broken, f"the cell breaks {', '.join(report.broken)}\n{report}"


def _wrong(law: Callable[[Case], None], cell: Cell) -> str:
    wrong = _try(law, cell, USUAL)
    if not wrong:
        return ""
    for sizes in SMALLER:
        smaller = _try(law, cell, sizes)
        if smaller:
            return f"{smaller} (with {sizes})"
    return f"{wrong} (with {USUAL})"


def _try(law: Callable[[Case], None], cell: Cell, sizes: Sizes) -> str:
    """By what a cell breaks a law at some sizes; "" where it does not."""
    try:
        with jax.enable_x64(True):
            law(Case(cell, sizes))
    except Broken as broken:
        return str(broken)
    except Exception as error:  # a user's function may fail in any way
        first = (str(error).strip().splitlines() or [""])[0]
        return f"raised {type(error).__name__}{_place(error)}: {first:.300}"
    return ""


def _place(error: Exception) -> str:
    """Where in a file that is neither ours nor a library's an error was raised, in words."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [f for f in frames if "site-packages" not in f.filename and not f.filename.startswith(OURS)]
    return f" in {Path(theirs[-1].filename).name}, line {theirs[-1].lineno}" if theirs else ""
