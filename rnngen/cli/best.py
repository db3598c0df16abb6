"""Show the best trial of a sweep: its score, its config, and how to train it longer.

Trials are compared on the valid split, at their ends.
"""

import os
import shlex
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from rnngen.cli.parser import Parser, UsageError, path

if TYPE_CHECKING:
    from rnngen.runs.run import Run
    from rnngen.runs.sweep import Sweep

EXAMPLE = "rnngen best runs/demo --metric=metrics.test.loss"
LONGER = 2  # times as many steps


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("folder", metavar="DIR", type=path, help="folder of the sweep")
    about = (
        "loss, another metric of the task, or a dotted name such as half_life.final (default: the search's, else loss)"
    )
    parser.add_argument("--metric", metavar="NAME", default="", help=about)
    about = "min or max (default: the search's, min for a loss, max for anything else)"
    parser.add_argument("--mode", choices=("min", "max"), default="", help=about)
    parser.add_argument("--all", action="store_true", help="also trials that the sweep's command now leaves out")


def run(options: Namespace) -> int:
    """Print the trial, its score, its config with what differs from the base first, and a command."""
    from rnngen.runs import open_sweep

    sweep = open_sweep(options.folder, all=options.all)
    if sweep.plan is None:
        raise UsageError(f"{options.folder}: holds a single run, not a sweep")
    metric = options.metric or sweep.search.get("metric", "loss")
    try:
        best = sweep.best(options.metric, options.mode)
    except ValueError as error:
        raise UsageError(str(error)) from error
    print(f"{best.name}  {metric} {sweep.scores(metric)[best.name]:.6g}  {best.status}\n{best.path}\n")
    _print_config(sweep, best)
    _print_command(best)
    return 0


def _print_config(sweep: "Sweep", best: "Run") -> None:
    from rnngen.storage.dotted import describe, flatten

    overrides = next(trial["overrides"] for trial in sweep.plan["trials"] if trial["id"] == best.name)  # type: ignore[index]
    changed = {name: describe(value) for name, value in overrides.items()}
    # A changed part stands for all of its keys.
    rest = {
        name: describe(value)
        for name, value in flatten(best.config or {}).items()
        if not any(name == part or name.startswith(f"{part}.") for part in changed)
    }
    for heading, values in {"differs from the base": changed, "the rest": rest}.items():
        print(heading)
        for name, value in values.items():
            print(f"  {name}={value!r}" if isinstance(value, str) else f"  {name}={value}")
        print()


def _print_command(best: "Run") -> None:
    if not (best.path / "config.json").exists():
        print("its folder is not here, only its exported records: the sweep's folder is needed to train it longer")
        return
    steps = (best.config or {})["train"]["steps"]
    home = Path(os.path.normpath(best.path.parent.parent))
    words = ["rnngen", "train", f"--config={best.path}", f"--workdir={home}-{best.name}"]
    print("train it longer")
    print(f"  {shlex.join([*words, f'--config.train.steps={LONGER * steps}'])}")
