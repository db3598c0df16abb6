"""Run the demo: vanilla RNN, GRU and LSTM on two benchmarks, and the gradient-norm figure.

The same command continues a demo that was stopped. It is the sweep `demo` of `rnngen list configs`.
"""

from argparse import Namespace
from pathlib import Path

from rnngen.cli import sweep
from rnngen.cli.parser import Parser, path, whole

EXAMPLE = "rnngen demo --workdir=runs/demo"
CONFIG = "rnngen:sweeps/demo"
FIGURE = "gradient_norms_over_time"


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    about = "folder of the records"
    parser.add_argument("--workdir", metavar="DIR", type=path, default=Path("runs", "demo"), help=about)
    parser.add_argument("--workers", metavar="N", type=whole(0), default=0, help="worker processes; 0: one a core")


def run(options: Namespace) -> int:
    """Train what is left of the demo's sweep, write its report, and draw the headline figure."""
    given = {"config": CONFIG, "rest": [], "retry_failed": False, "detach": False, "dry_run": False, "take_over": 0.0}
    status = sweep.run(Namespace(**vars(options) | given))
    from rnngen import report
    from rnngen.runs import open_sweep

    figure = report.gradient_norms(open_sweep(options.workdir), leaf="layer_0/h", against="t")
    print("the headline figure, norm of dL/dh_t before and after training:")
    print(*report.save(figure, options.workdir / "figures" / FIGURE), sep="\n")
    return status
