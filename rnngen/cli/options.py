"""The options of `rnngen train` and `rnngen sweep`, parsed by absl and config_flags, each complaint one line."""

import ast
import functools
import re
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict, config_flags

from rnngen.config import complete
from rnngen.config.check import ConfigError, call, check_name, load_module, set_override
from rnngen.sweep.launch import complete_launch


class Options:
    """What a command line asked for: the config with its overrides, where it came from, and the flags."""

    def __init__(self, values: flags.FlagValues, path: str, module):
        self.path, self.module = path, module
        self.config: ConfigDict = values.config
        self.workdir = Path(values.workdir).expanduser()
        sweeping = "workers" in values
        self.workers: int = values.workers if sweeping else 0
        self.retry_failed: bool = values.retry_failed if sweeping else False
        self.detach: bool = values.detach if sweeping else False
        self.take_over: float = values.take_over
        self.log: list[str] = [] if sweeping else values.log
        self.distributed: bool = False if sweeping else values.distributed
        self.launch: ConfigDict | None = values.launch if sweeping else None


def parse(arguments: list[str], sweeping: bool = False) -> Options:
    """Parse with absl and config_flags. Raises ConfigError with one line for all that they would complain of."""
    path, rest = _config_path(arguments)
    module = load_module(path)
    config = call(path, module, "get_config")
    if not isinstance(config, ConfigDict):
        raise ConfigError(f"{path}: get_config() must return a ConfigDict, got {type(config).__name__}")
    _check_overrides(rest, config)
    config, rest = _with_groups(rest, config)
    launch = None
    if sweeping:
        launch = complete_launch(call(path, module, "get_launch") if hasattr(module, "get_launch") else None)
    values, argv = flags.FlagValues(), ["rnngen", *rest]
    try:
        _define(values, argv, config, launch)
        extra = values(argv)[1:]
    except (flags.Error, TypeError, ValueError, KeyError, AttributeError) as error:
        raise ConfigError(str(error)) from error
    if extra:
        raise ConfigError(f"unexpected argument {extra[0]!r}")
    if not values.workdir:
        raise ConfigError("--workdir=DIR is needed: the folder of the records")
    return Options(values, path, module)


def _define(values: flags.FlagValues, argv: list[str], config: ConfigDict, launch: ConfigDict | None) -> None:
    """Every flag of `train`, or, with a launch, of `sweep`."""
    for name, holder in {"config": config, "launch": launch}.items():
        if holder is not None:
            # Not locked: a kwarg that the file leaves at its default may be set; resolve() checks every name.
            config_flags.DEFINE_config_dict(
                name, holder, lock_config=False, accept_new_attributes=True, flag_values=values, sys_argv=argv
            )
    flags.DEFINE_string("workdir", None, "folder of the records", flag_values=values)
    flags.DEFINE_float("take_over", 0.0, "watch a lock of another host for so long", 0.0, flag_values=values)
    if launch is None:
        flags.DEFINE_list("log", [], "sinks that get each row too", flag_values=values)
        flags.DEFINE_boolean("distributed", False, "be one of several processes of one run", flag_values=values)
    else:
        flags.DEFINE_integer("workers", 0, "worker processes (0: one a core)", lower_bound=0, flag_values=values)
        flags.DEFINE_boolean("retry_failed", False, "train failed trials again", flag_values=values)
        flags.DEFINE_boolean("detach", False, "submit and let go", flag_values=values)


def _config_path(arguments: list[str]) -> tuple[str, list[str]]:
    """The file that --config names, and the other arguments."""
    for number, argument in enumerate(arguments):
        match = re.fullmatch(r"--?config(=(.*))?", argument)
        if match:
            end = number + (1 if match[1] else 2)
            path = match[2] if match[1] else "".join(arguments[number + 1 : end])
            if path:
                return path, arguments[:number] + arguments[end:]
    raise ConfigError("--config=FILE is needed: a Python file with get_config()")


def _with_groups(arguments: list[str], config: ConfigDict) -> tuple[ConfigDict, list[str]]:
    """The config changed by those arguments that give a group a mapping, of which it keeps the rest; and the others.

    config_flags would put the mapping in the place of the group, and the library's defaults in that of the rest.
    """
    others, changed = list[str](), config.to_dict()
    for argument in _joined(arguments):
        match = re.fullmatch(r"--?config\.([^=]*)=(\{.*\})", argument, re.DOTALL)
        group = None if match is None else functools.reduce(lambda at, key: at.get(key), match[1].split("."), changed)
        if match is None or not isinstance(group, dict) or "kwargs" in match[1].split("."):
            others.append(argument)
        else:
            set_override(changed, match[1], _mapping(match[1], match[2]))
    return (ConfigDict(changed), others) if len(others) < len(arguments) else (config, arguments)


def _joined(arguments: list[str]) -> list[str]:
    """With a mapping that follows its key as an argument of its own in one with it."""
    joined = list[str]()
    for argument in arguments:
        if joined and argument.startswith("{") and re.fullmatch(r"--?config\.[^=]*", joined[-1]):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def _mapping(name: str, text: str) -> dict:
    try:
        return dict(ast.literal_eval(text))
    except (ValueError, SyntaxError) as error:
        raise ConfigError(f"config.{name}: {text[:200]} is not a mapping as Python writes it") from error


def _check_overrides(arguments: list[str], config: ConfigDict) -> None:
    known = complete(config)
    for argument in arguments:
        match = re.match(r"--?(?:no)?config\.([^=]*)", argument)
        if match:
            check_name(known, match[1])
