"""The config file of `rnngen train` and `rnngen sweep`, and its overrides, parsed by absl and config_flags."""

import ast
import functools
import re
from types import ModuleType
from typing import NamedTuple

from absl import flags
from ml_collections import ConfigDict, config_flags

from rnngen.config import complete
from rnngen.config.check import ConfigError, call, check_name, set_override
from rnngen.config.files import find_config, open_config
from rnngen.sweep.launch import complete_launch


class LoadedConfig(NamedTuple):
    """A config with its overrides, the launch settings of a sweep, and the module that made them.

    module: None for the config of a run's folder.
    """

    config: ConfigDict
    launch: ConfigDict | None
    module: ModuleType | None


def load_config(name: str, overrides: list[str], sweeping: bool = False, trust: bool = False) -> LoadedConfig:
    """Load a config and apply overrides.

    Args:
      name: of a shipped config, a Python file with `get_config()`, or the folder of a run.
      overrides: `--config.KEY=VALUE`, and for a sweep `--launch.KEY=VALUE`.
      sweeping: load the launch settings, too.
      trust: see `rnngen.config.load`.

    Raises:
      ConfigError: with one line for all that absl and config_flags would complain of.
    """
    config, module = open_config(name, trust)
    _check_overrides(overrides, config)
    config, rest = _with_groups(overrides, config)
    launch = None
    if sweeping:
        has = module if hasattr(module, "get_launch") else None
        launch = complete_launch(None if has is None else call(str(find_config(name)), has, "get_launch"))
    return LoadedConfig(*_overridden(rest, config, launch), module)


def _overridden(
    overrides: list[str], config: ConfigDict, launch: ConfigDict | None
) -> tuple[ConfigDict, ConfigDict | None]:
    values, argv = flags.FlagValues(), ["rnngen", *overrides]
    holders = {"config": config} if launch is None else {"config": config, "launch": launch}
    try:
        for name, holder in holders.items():
            # Not locked: a kwarg that the file leaves at its default may be set; resolve() checks every name.
            config_flags.DEFINE_config_dict(
                name, holder, lock_config=False, accept_new_attributes=True, flag_values=values, sys_argv=argv
            )
        extra = values(argv)[1:]
    except (flags.Error, TypeError, ValueError, KeyError, AttributeError) as error:
        raise ConfigError(str(error)) from error
    if extra:
        raise ConfigError(f"unexpected argument {extra[0]!r}")
    return values.config, None if launch is None else values.launch


def _with_groups(arguments: list[str], config: ConfigDict) -> tuple[ConfigDict, list[str]]:
    """Change the config by each argument that gives a group a mapping, and return it with the other arguments.

    config_flags would replace the group by the mapping, and the keys that it does not name by the library's defaults.
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
    """Join a mapping that follows its key as a separate argument to that key."""
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
