"""rnngen: how far back does a recurrent cell's gradient reach, and what does that buy?"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnngen import cells, diagnostics, sweep
    from rnngen.engines import unroll
    from rnngen.generation.generate import generate
    from rnngen.runs.records import load

__version__ = "0.1.0"

__all__ = ["__version__", "cells", "diagnostics", "generate", "load", "sweep", "unroll"]

# Loaded when first asked for, so that who wants a layer does not wait for tables, figures and searches.
_HOMES = {"generate": "rnngen.generation.generate", "load": "rnngen.runs.records", "unroll": "rnngen.engines"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'rnngen' has no attribute {name!r}")
    home = _HOMES.get(name)
    found = getattr(importlib.import_module(home), name) if home else importlib.import_module(f"rnngen.{name}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
