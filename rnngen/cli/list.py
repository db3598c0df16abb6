"""`rnngen list`: everything that a config can name, with its arguments; --long: with all that there is to say of it."""

import inspect
import sys
from collections.abc import Callable, Mapping

import jax

from rnngen import runtime
from rnngen.cells import CELLS
from rnngen.config.build import COMPONENTS, base_config
from rnngen.config.check import ConfigError, at_place
from rnngen.config.defaults import MEANINGS
from rnngen.datasets import CODECS
from rnngen.diagnostics.diagnoses import DIAGNOSES
from rnngen.storage.dotted import flatten
from rnngen.storage.trackers import TRACKERS
from rnngen.sweep.executors import EXECUTORS
from rnngen.testing.facts import claims_of

PLURALS = {"diagnosis": "diagnoses", "medium": "media"}
UNITS = 4  # of the cells whose structure is looked at


def list_all(arguments: list[str]) -> int:
    """`rnngen list [--long]`."""
    if arguments not in ([], ["--long"]):
        raise ConfigError(f"list takes --long or nothing, got {' '.join(arguments)!r}")
    others: list[tuple[str, Mapping, tuple[str, ...]]] = [
        ("diagnosis", DIAGNOSES, ()),
        ("medium", CODECS, ()),
        ("executor", EXECUTORS, ("folder",)),
        ("sink", TRACKERS, ("folder", "config")),
    ]
    _print_keys()
    if arguments:
        at_place("JAX", runtime.start)
    for what, table, supplied in [*COMPONENTS.values(), *others]:
        print(PLURALS.get(what, f"{what}s"))
        for name, factory in sorted(table.items()):
            print(f"  {name}({_signature(factory, supplied)})")
            _print_indented(_all_of(factory, table) if arguments else _first_line(factory))
    return 0


def _print_keys() -> None:
    """Every key of a config, with its default."""
    print("config keys")
    defaults = flatten(base_config().to_dict())
    for key, meaning in MEANINGS.items():
        default = "" if key.endswith("*") else f"={defaults[key]!r}"
        print(f"  {key}{default}")
        _print_indented(meaning)


def _all_of(factory: Callable, table: Mapping) -> str:
    """A factory's documentation; of a cell its file's too, with the equation and the paper, and what it declares."""
    own = inspect.getdoc(factory) or ""
    if table is not CELLS:
        return f"{own}\n"
    module = sys.modules[factory.__module__]
    alone = sum(made.__module__ == factory.__module__ for made in CELLS.values()) == 1
    equation = f"{inspect.getdoc(module)}\n\n" if alone else ""
    with jax.enable_x64(True):
        return f"{equation}{own}\n\n{claims_of(factory(UNITS))}\n"


def _print_indented(text: str) -> None:
    for line in text.split("\n"):
        print(f"      {line}".rstrip())


def _signature(factory: Callable, supplied: tuple[str, ...]) -> str:
    parameters = [p for p in inspect.signature(factory).parameters.values() if p.name not in supplied]
    return ", ".join(p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in parameters)


def _first_line(documented: object) -> str:
    return (inspect.getdoc(documented) or "").split("\n")[0]
