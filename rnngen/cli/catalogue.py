"""The catalogue of everything that a config can name, as `rnngen list` prints it."""

import inspect
import sys
from collections.abc import Callable, Mapping

import jax

from rnngen import runtime
from rnngen.cells import CELLS
from rnngen.config.check import error_at
from rnngen.config.defaults import MEANINGS, base_config
from rnngen.config.resolve import COMPONENTS
from rnngen.datasets import CODECS
from rnngen.diagnostics import DIAGNOSES
from rnngen.storage.dotted import flatten
from rnngen.storage.trackers import TRACKERS
from rnngen.sweep.executors import EXECUTORS

PLURALS = {"diagnosis": "diagnoses"}
UNITS = 4  # of the cells whose structure is examined


def show(long: bool = False) -> None:
    """Print the keys of a config, and every component with its arguments.

    Args:
      long: print the whole documentation, not its first line.
    """
    others: list[tuple[str, Mapping, tuple[str, ...]]] = [
        ("diagnosis", DIAGNOSES, ()),
        ("codec", CODECS, ()),
        ("executor", EXECUTORS, ("folder",)),
        ("tracker", TRACKERS, ("folder", "config")),
    ]
    _print_keys()
    if long:
        with error_at("JAX"):
            runtime.start()
    for what, table, supplied in [*COMPONENTS.values(), *others]:
        print(PLURALS.get(what, f"{what}s"))
        for name, factory in sorted(table.items()):
            print(f"  {name}({_signature(factory, supplied)})")
            _print_indented(_documentation(factory, table) if long else _first_line(factory))


def _print_keys() -> None:
    """Print every key of a config, with its default."""
    print("config keys")
    defaults = flatten(base_config().to_dict())
    for key, meaning in MEANINGS.items():
        default = "" if key.endswith("*") else f"={defaults[key]!r}"
        print(f"  {key}{default}")
        _print_indented(meaning)


def _documentation(factory: Callable, table: Mapping) -> str:
    """Return a factory's documentation; for a cell also that of its file (equation and paper) and its structure."""
    own = inspect.getdoc(factory) or ""
    if table is not CELLS:
        return f"{own}\n"
    module = sys.modules[factory.__module__]
    alone = sum(made.__module__ == factory.__module__ for made in CELLS.values()) == 1
    equation = f"{inspect.getdoc(module)}\n\n" if alone else ""
    from rnngen.testing.facts import claims_of

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
