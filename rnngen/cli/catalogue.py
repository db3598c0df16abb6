"""The catalogue of everything that a config can name, as `rnngen list` prints it."""

import ast
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping

import jax

from rnngen import runtime
from rnngen.cells import CELLS
from rnngen.config.check import error_at
from rnngen.config.defaults import MEANINGS, base_config
from rnngen.config.files import shipped_files
from rnngen.config.resolve import COMPONENTS, key_choices
from rnngen.datasets import CODECS
from rnngen.diagnostics import DIAGNOSES
from rnngen.models.controls import CONTROLS
from rnngen.storage.dotted import flatten
from rnngen.storage.trackers import TRACKERS
from rnngen.sweep.executors import EXECUTORS

PLURALS = {"diagnosis": "diagnoses"}
UNITS = 4  # of the cells whose structure is examined


def lines(part: str | None = None, long: bool = False) -> Iterator[str]:
    """Yield the keys of a config, the shipped configs, and every component with its arguments.

    Args:
      part: one of `list.PARTS`: it alone.
      long: the whole documentation, not its first line.
    """
    of_config = {name: part for name, part in COMPONENTS.items() if name != "cell"}
    tables: list[tuple[str, Mapping, tuple[str, ...]]] = [
        ("cell", CELLS, ()),
        ("control", CONTROLS, ()),
        *of_config.values(),
        ("diagnosis", DIAGNOSES, ()),
        ("codec", CODECS, ()),
        ("executor", EXECUTORS, ("folder",)),
        ("tracker", TRACKERS, ("folder", "config")),
    ]
    if part in (None, "config"):
        yield from _keys()
    if part in (None, "configs"):
        yield from _configs(long)
    if long:
        with error_at("JAX"):
            runtime.start()
    for what, table, supplied in tables:
        heading = PLURALS.get(what, f"{what}s")
        if part in (None, heading.replace(" ", "_")):
            yield heading
            for name, factory in sorted(table.items()):
                yield f"  {name}({_signature(factory, supplied)})"
                yield from _indented(_documentation(factory, table) if long else _first_line(factory))


def _keys() -> Iterator[str]:
    """Yield every key of a config, with its default, its meaning and its choices."""
    yield "config keys"
    defaults, choices = flatten(base_config().to_dict()), key_choices()
    for key, meaning in MEANINGS.items():
        yield f"  {key}" if key.endswith("*") else f"  {key}={defaults[key]!r}"
        yield from _indented(meaning)
        if key in choices:
            yield from _indented(f"choices: {', '.join(choices[key])}")


def _configs(long: bool) -> Iterator[str]:
    """Yield the shipped configs, with what each says of itself."""
    yield "configs"
    for name, file in shipped_files().items():
        yield f"  {name}"
        about = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        yield from _indented(f"{about}\n" if long else about.split("\n")[0])


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


def _indented(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        yield f"      {line}".rstrip()


def _signature(factory: Callable, supplied: tuple[str, ...]) -> str:
    parameters = [p for p in inspect.signature(factory).parameters.values() if p.name not in supplied]
    return ", ".join(p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in parameters)


def _first_line(documented: object) -> str:
    return (inspect.getdoc(documented) or "").split("\n")[0]
