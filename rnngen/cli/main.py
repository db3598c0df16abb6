"""The command line: `rnngen <command>`. Bad input: one line, exit status 2."""

import io
import os
import re
import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType

import rnngen
from rnngen.cli import (
    best,
    card,
    check_cell,
    check_task,
    demo,
    doctor,
    export,
    init,
    inspect,
    report,
    sample,
    score,
    status,
    sweep,
    train,
)
from rnngen.cli import list as listing
from rnngen.cli.parser import Parser, UsageError
from rnngen.registry import nearest
from rnngen.storage import locks, preemption
from rnngen.storage.jsonl import DamagedFile

COMMANDS: dict[str, ModuleType] = {
    "train": train,
    "sweep": sweep,
    "status": status,
    "best": best,
    "sample": sample,
    "score": score,
    "inspect": inspect,
    "report": report,
    "export": export,
    "doctor": doctor,
    "card": card,
    "check-cell": check_cell,
    "check-task": check_task,
    "list": listing,
    "init": init,
    "demo": demo,
}
RENAMED = {"pack": "export"}  # the old names work for one release
SHELLS = ("bash", "zsh", "tcsh")
DOCS = Path(__file__).parents[1] / "docs" / "index.md"
EPILOG = f"""`rnngen <command> --help` shows the options of a command.

documentation:
  {DOCS}

exit status:
  0    done
  1    a trial failed, a run diverged, or a check found something
  2    bad input, or nothing can be written
  75   train or sweep was stopped by SIGTERM or Ctrl-C; the same command goes on
  130  another command was stopped"""


def main(argv: list[str] | None = None) -> int:
    """Run one command line.

    Args:
      argv: the arguments; those of this process by default.

    Returns:
      The exit status.
    """
    arguments = sys.argv[1:] if argv is None else argv
    # Like `python -m`: cells and tasks of the user's own are found in the working directory.
    sys.path.insert(0, os.getcwd())
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a character that the terminal lacks must not raise
    try:
        status = _perform(arguments)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader of our output has seen enough
        from rnngen import runtime

        runtime.discard_output()
        return 0
    except (UsageError, DamagedFile, locks.HeldError, OSError) as error:
        return _refused(error)
    except preemption.Preempted as stopped:
        print(f"rnngen: stopped {stopped.args[0]}; the same command goes on", file=sys.stderr)
        return preemption.PREEMPTED
    except KeyboardInterrupt:
        print("rnngen: stopped", file=sys.stderr)
        return 130
    except _config_error() as error:
        return _refused(error)


def parse(arguments: list[str]) -> Namespace:
    """Parse a command line.

    Args:
      arguments: those after the program's name.

    Returns:
      The options of the command; `run` is the command's function, `rest` what the command parses itself.

    Raises:
      UsageError: there is no such command or option.
      SystemExit: the help or the version was asked for, and has been printed.
    """
    parser, commands = build_parser()
    if arguments and not arguments[0].startswith("-"):
        name = _current_name(arguments[0])
        if name not in commands:
            raise UsageError(f"no such command {name!r}{nearest(name, commands)}")
        arguments = [name, *map(_underscored, arguments[1:])]
    options, rest = parser.parse_known_args(arguments)
    commands.get(options.command, parser).refuse(rest)
    options.rest = rest
    return options


def build_parser() -> tuple[Parser, dict[str, Parser]]:
    """Build the parser of the command line, and those of its commands by name."""
    parser = Parser(prog="rnngen", description=(rnngen.__doc__ or "").partition(": ")[2], epilog=EPILOG)
    parser.add_argument("--version", action="version", version=f"rnngen {rnngen.__version__}")
    parser.add_argument("--print-completion", choices=SHELLS, help="print a shell's completion script")
    subparsers = parser.add_subparsers(title="commands", metavar="<command>", dest="command")
    commands = {name: _add_command(subparsers, name, module) for name, module in COMMANDS.items()}
    return parser, commands


def _add_command(subparsers, name: str, module: ModuleType) -> Parser:
    about = (module.__doc__ or "").strip()
    parser = subparsers.add_parser(name, help=about.partition("\n")[0].removesuffix("."), description=about)
    parser.set_defaults(run=module.run)
    module.add_arguments(parser)
    parser.epilog = "\n\n".join(filter(None, [parser.epilog, f"example:\n  {module.EXAMPLE}"]))
    return parser


def _perform(arguments: list[str]) -> int:
    try:
        options = parse(["--help"] if arguments == ["help"] else arguments)
    except SystemExit as done:
        return int(done.code or 0)
    if options.print_completion:
        return _print_completion(options.print_completion)
    if options.command is None:
        build_parser()[0].print_help()
        return 2
    return options.run(options)


def _current_name(command: str) -> str:
    if command in RENAMED:
        print(f"rnngen: `{command}` is now called `{RENAMED[command]}`", file=sys.stderr)
    return RENAMED.get(command, command)


def _underscored(argument: str) -> str:
    """Return the name of an option as it is declared: --top-k is --top_k."""
    name = re.match(r"--\w+(-\w+)+(?==|$)", argument)
    return argument if name is None else f"--{name[0][2:].replace('-', '_')}{argument[name.end() :]}"


def _print_completion(shell: str) -> int:
    import shtab

    parser, commands = build_parser()
    for command in commands.values():
        for action in command._actions:
            kind = {"FILE": shtab.FILE, "DIR": shtab.DIRECTORY, "RUN": shtab.DIRECTORY}.get(str(action.metavar))
            if kind is not None:
                action.complete = kind  # type: ignore[attr-defined]
    print(shtab.complete(parser, shell))
    return 0


def _config_error() -> type[Exception]:
    """Import ConfigError only once an exception is handled, since JAX comes with it."""
    from rnngen.config.check import ConfigError

    return ConfigError


def _refused(error: Exception) -> int:
    print(f"rnngen: {' '.join(str(error).split())}", file=sys.stderr)
    if "jax" not in sys.modules:
        return 2
    from rnngen import runtime

    return runtime.ended(2)
