"""Train one run, or continue one that was stopped.

The same command continues a stopped run, and does nothing once the run is over; with more train.steps it
goes on from the last checkpoint, unless the learning rates depend on the number of steps.
"""

from argparse import Namespace
from pathlib import Path

from rnngen.cli.parser import CONFIG_NOTES, Parser, add_config_arguments, add_trust, check_needed

EXAMPLE = "rnngen train --config=adding --workdir=runs/adding --config.optim.learning_rate=0.003"


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    add_config_arguments(parser, "config", CONFIG_NOTES)
    about = "trackers: tensorboard, wandb, mlflow, or package.module:factory"
    parser.add_argument("--log", metavar="NAMES", type=names, default=[], help=about)
    parser.add_argument("--distributed", action="store_true", help="be one of several processes of one run")
    add_trust(parser)


def names(text: str) -> list[str]:
    """Split names at commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def run(options: Namespace) -> int:
    """Train; 1 where the run diverged."""
    check_needed(options)
    import jax

    from rnngen import runtime
    from rnngen.cli.bar import Bar
    from rnngen.cli.overrides import load_config
    from rnngen.config import resolve
    from rnngen.config.check import error_at
    from rnngen.runs import train
    from rnngen.storage import preemption, trackers

    config = resolve(load_config(options.config, options.rest, trust=options.trust).config)
    with error_at("--log"):
        trackers.check(options.log)
    runtime.prepare()
    if options.distributed:
        with error_at("--distributed"):
            runtime.join()
    with error_at("JAX"):
        runtime.start(training=True)
    first = not options.distributed or jax.process_index() == 0
    with preemption.listening(), Bar(config.train.steps) as bar:
        begin, row = (bar.begin, bar.row) if first else (lambda: None, lambda row: None)
        result = train.run(config, options.workdir, row, options.log, options.take_over, begin)
    if first:
        _show(result, options.workdir)
    return 0 if result["status"] == "finished" else 1


def _show(result: dict, folder: Path) -> None:
    test = ", ".join(f"{k} {v:.4g}" for k, v in result.get("metrics", {}).get("test", {}).items())
    solved = "solved" if result["solved"] else "not solved"
    baseline = f"memoryless baseline {result['baseline']:.4g}"
    print(f"{result['status']} at step {result['step']}: test {test}; {baseline}; {solved}")
    if found := result["half_life"]:
        initial, final = found["initial"], found["final"]
        print(f"half-life of the gradient: {initial:.3g} steps before training, {final:.3g} after")
    print(f"records: {folder}")
