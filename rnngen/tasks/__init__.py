"""Synthetic tasks. `TASKS` lists them by their name in a config."""

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
    "latch",
    "temporal_order",
]
