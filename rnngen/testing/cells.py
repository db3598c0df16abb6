"""The checks of a cell: `check_cell` in a test, `rnngen check-cell` at a terminal."""

from collections.abc import Callable

import jax

from rnngen.cells import Cell
from rnngen.testing import contract, runs, sequences, structures
from rnngen.testing.case import SMALLER, USUAL, Case, Sizes
from rnngen.testing.facts import facts
from rnngen.testing.report import Finding, Report, describe_failure, try_laws
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


def examine_cell(
    cell: Cell, measure: bool = True, on_finding: Callable[[Finding], object] = lambda finding: None
) -> Report:
    """Run every check that applies to a cell.

    Args:
      cell: the cell.
      measure: also measure its speed and memory horizon if it passes all checks.
      on_finding: gets each finding as it is made.

    Returns:
      What was found.

    Raises:
      ValueError: `cell` is not a Cell.
    """
    if not isinstance(cell, Cell):
        raise ValueError(f"expected a Cell, got {cell!r:.80}")
    rest = [law for law in REST if law not in CLAIMS or CLAIMS[law](cell)]
    describe = (lambda: facts(cell)) if measure else tuple
    return try_laws(CONTRACT, rest, lambda law: _wrong(law, cell), on_finding, describe)


def check_cell(cell: Cell) -> None:
    """Run every check of a cell, in a test of your own.

    Args:
      cell: the cell.

    Raises:
      AssertionError: a check fails; the message is the whole report.
    """
    examine_cell(cell, measure=False).require("cell")


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
    def attempt() -> None:
        with jax.enable_x64(True):
            law(Case(cell, sizes))

    return describe_failure(attempt)
