"""Make the card of a cell: one page of what it does, beside RNN, GRU, LSTM and two linear cells.

Checks the contract, measures speed, and trains the cell on adding at nine learning rates, on copying, state tracking
and recall. Half an hour on two cores at most; --quick takes three minutes. The same command continues a stopped one.
"""

import os
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnngen.cli.check_cell import add_factory_arguments, factory_arguments
from rnngen.cli.parser import Parser, path, whole

if TYPE_CHECKING:
    from rnngen.report.card import Card

CONFIG = "sweeps/card"
EXAMPLE = "rnngen card mgu --quick"


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    add_factory_arguments(parser, "cell", "--hidden_dim=16 --forget_bias=1.0")
    about = "folder of the records; default: runs/card_NAME"
    parser.add_argument("--workdir", metavar="DIR", type=path, default=None, help=about)
    parser.add_argument("--workers", metavar="N", type=whole(0), default=0, help="worker processes; 0: one a core")
    parser.add_argument("--quick", action="store_true", help="short sequences, few updates and one seed")


def run(options: Namespace) -> int:
    """Make the card and print its table; 1 where the cell breaks its contract."""
    from rnngen.config.check import error_at
    from rnngen.report.tables import markdown

    name = options.name.rpartition(":")[2]
    folder = options.workdir or Path("runs", f"card_{name}" + ("_quick" if options.quick else ""))
    kwargs = factory_arguments("cell", options.rest)
    try:
        with error_at("card"):
            made = card(options.name, folder, quick=options.quick, workers=options.workers, **kwargs)
    except AssertionError as broken:
        print(str(broken).splitlines()[0])
        return 1
    print(markdown(made.table), made.page, sep="\n")
    return 0


def card(
    cell: str,
    folder: str | os.PathLike,
    *,
    quick: bool = False,
    workers: int = 0,
    on_finding: Callable[[Any], object] = print,
    **kwargs: Any,
) -> "Card":
    """Check a cell, train it on the tasks of the card, and write its page. The same call continues a stopped one.

    Args:
      cell: a built-in, or "package.module:factory".
      folder: gets the records, and `card.html`.
      quick: short sequences, few updates and one seed: a few minutes.
      workers: processes; 0: one a core.
      on_finding: gets the finding of each check as it is made.
      **kwargs: of the cell; its `hidden_dim`, where it has one, is 32 by default.

    Returns:
      The card.

    Raises:
      ValueError: there is no such cell, or it cannot be built.
      AssertionError: the cell breaks its contract; the message is the whole report.
    """
    from rnngen import sweep as sweeps
    from rnngen.config import base_config, build_cell, component, resolve, shipped, takes_hidden_dim
    from rnngen.report.card import write
    from rnngen.testing import examine_cell

    plan, base, name = shipped(CONFIG), base_config(), cell.rpartition(":")[2]
    label = cell if name in plan.CELLS else name  # a cell called like one that comes with rnngen is another
    base.cell = component(cell, **({"hidden_dim": plan.WIDTH} if takes_hidden_dim(cell) else {}) | kwargs)
    checks = examine_cell(build_cell(resolve(base).cell), on_finding=on_finding)
    checks.require("cell")
    own = sweeps.run(plan.get_config(), plan.get_sweep({label: base.cell}, quick), folder, workers=workers)
    return write(own, label, [*map(str, checks.findings)], list(checks.facts), quick)
