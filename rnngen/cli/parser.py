"""The parser of the command line: one-line errors, defaults in the help, the nearest name to an unknown one."""

import argparse
import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

from rnngen.registry import nearest

CONFIG_NOTES = """overrides:
  --config.KEY=VALUE changes one key of the config, such as --config.optim.learning_rate=0.01.
  A mapping changes what it names and keeps the rest: --config.task.kwargs="{'length': 50}".
  `rnngen list config` shows every key with its default, meaning and choices."""
LAUNCH_NOTES = """
  --launch.KEY=VALUE changes how trials are run: --launch.executor.name=local|ray|slurm,
  --launch.pack=auto|off|N (trials trained together as one program), --launch.log=tensorboard."""


class UsageError(ValueError):
    """A command line that cannot be understood; the message is one line for a person."""


class Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows defaults where there are any, and keeps the line breaks of the examples."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        shown = action.default is not False and action.default not in (None, [])
        return super()._get_help_string(action) if shown else action.help


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that raises `UsageError` instead of printing its usage."""

    # A pattern of the options that the command parses itself, None for none.
    passes_on: str | None = None

    def __init__(self, **options: Any):
        super().__init__(allow_abbrev=False, formatter_class=Formatter, **options)

    def error(self, message: str) -> NoReturn:
        """Raise UsageError with the name of the command."""
        command = self.prog.partition(" ")[2]
        raise UsageError(f"{command}: {message}" if command else message)

    def refuse(self, arguments: Iterable[str]) -> None:
        """Raise UsageError for the first argument that neither this parser nor the command itself knows."""
        for argument in arguments:
            name = argument.partition("=")[0]
            if not re.match(r"--?[a-zA-Z]", argument):
                if self.passes_on is None:
                    self.error(f"unexpected argument {argument!r}")
            elif self.passes_on is None or not re.match(self.passes_on, argument):
                self.error(f"unknown option {name!r}{nearest(name, self._option_string_actions)}")


def add_config_arguments(parser: Parser, pattern: str, notes: str) -> None:
    """Add what `train` and `sweep` share: the config file, its overrides and the folder of the records."""
    parser.passes_on, parser.epilog = rf"--?(no)?({pattern})\.", notes
    parser.usage = f"{parser.prog} --config=FILE --workdir=DIR [options] [--config.KEY=VALUE ...]"
    about = "Python file with get_config(), name of a shipped config, or folder of a run; needed"
    parser.add_argument("--config", metavar="FILE", help=about)
    parser.add_argument("--workdir", metavar="DIR", type=path, help="folder of the records; needed")
    parser.add_argument(
        "--take_over",
        metavar="SECONDS",
        type=number(least=0),
        default=0.0,
        help="watch a lock of another host for so long, and take it over if its owner shows no sign of life",
    )


def add_run_arguments(parser: Parser) -> None:
    """Add what commands on a trained run share: its folder, and whether to trust what it names."""
    parser.add_argument("folder", metavar="RUN", type=path, help="folder of the run")
    add_trust(parser)


def add_trust(parser: Parser) -> None:
    """Add the option to trust what a run's folder names."""
    parser.add_argument(
        "--trust", action="store_true", help="import the modules that the run names, also of a folder made elsewhere"
    )


def check_needed(options: argparse.Namespace, folder: bool = True) -> None:
    """Raise UsageError unless --config is given, and --workdir where a folder is needed."""
    if not options.config:
        raise UsageError(
            "--config=FILE is needed: a Python file with get_config(), or the name of a shipped config "
            "(rnngen list configs)"
        )
    if folder and not options.workdir:
        raise UsageError("--workdir=DIR is needed: the folder of the records")


def path(text: str) -> Path:
    """Convert an option to a path, in which ~ is the home folder."""
    if not text:
        raise argparse.ArgumentTypeError("must not be empty")
    return Path(text).expanduser()


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """Return an option type: whole numbers from `least` to `most`."""
    wanted = f"a whole number of at least {least}" if most is None else f"a whole number from {least} to {most}"

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least or (most is not None and value > most):
            raise argparse.ArgumentTypeError(f"must be {wanted}, got {text!r}")
        return value

    return convert


def number(least: float) -> Callable[[str], float]:
    """Return an option type: finite numbers of at least `least`."""

    def convert(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value < math.inf:
            raise argparse.ArgumentTypeError(f"must be a finite number of at least {least}, got {text!r}")
        return value

    return convert
