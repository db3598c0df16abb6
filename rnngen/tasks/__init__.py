"""Synthetic tasks, in `TASKS` by their name in a config; `from_arrays` and `from_series` for data of one's own."""

import importlib
from collections.abc import Callable

from rnngen.tasks.adding import adding
from rnngen.tasks.copy_memory import copy_memory
from rnngen.tasks.latch import latch
from rnngen.tasks.task import Objective, Task, TaskData
from rnngen.tasks.temporal_order import temporal_order

TASKS: dict[str, Callable[..., Task]] = {
    "adding": adding,
    "copy_memory": copy_memory,
    "latch": latch,
    "temporal_order": temporal_order,
}

__all__ = [
    "TASKS",
    "Objective",
    "Task",
    "TaskData",
    "adding",
    "copy_memory",
    "from_arrays",
    "from_series",
    "latch",
    "temporal_order",
]


def __getattr__(name: str) -> Callable[..., dict]:
    """Return what makes a task of data of one's own; it lies with the other data, on the floor above."""
    homes = {"from_arrays": "arrays", "from_series": "series"}
    if name not in homes:
        raise AttributeError(f"module 'rnngen.tasks' has no attribute {name!r}")
    return getattr(importlib.import_module(f"rnngen.datasets.{homes[name]}"), name)
