"""rnngen: how far back does a recurrent cell's gradient reach, and what does that buy?"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnngen import adapters, cells, config, diagnostics, heads, models, report, sweep, tasks
    from rnngen.cli.card import card
    from rnngen.engines import unroll
    from rnngen.generation.forecasts import forecast
    from rnngen.generation.generate import generate, score
    from rnngen.runs import load
    from rnngen.runs import open_folder as open
    from rnngen.runs.train import train
    from rnngen.types import Batch

__version__ = "0.1.0"

__all__ = [
    "Batch",
    "__version__",
    "adapters",
    "card",
    "cells",
    "config",
    "diagnostics",
    "forecast",
    "generate",
    "heads",
    "load",
    "models",
    "open",
    "report",
    "score",
    "sweep",
    "tasks",
    "train",
    "unroll",
]

# Loaded when first asked for, so that who wants a layer does not wait for tables, figures and searches.
_HOMES = {
    "Batch": ("rnngen.types", "Batch"),
    "card": ("rnngen.cli.card", "card"),
    "forecast": ("rnngen.generation.forecasts", "forecast"),
    "generate": ("rnngen.generation.generate", "generate"),
    "load": ("rnngen.runs", "load"),
    "open": ("rnngen.runs", "open_folder"),
    "score": ("rnngen.generation.generate", "score"),
    "train": ("rnngen.runs.train", "train"),
    "unroll": ("rnngen.engines", "unroll"),
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'rnngen' has no attribute {name!r}")
    module, attribute = _HOMES.get(name, (f"rnngen.{name}", ""))
    found = importlib.import_module(module)
    globals()[name] = getattr(found, attribute) if attribute else found
    return globals()[name]


def __dir__() -> list[str]:
    return sorted(__all__)
