"""Synthetic tasks, in `TASKS` by their name in a config; `from_arrays` and `from_series` for data of one's own."""

import importlib
from collections.abc import Callable

from rnngen.tasks.adding import adding
from rnngen.tasks.arithmetic import modular_arithmetic
from rnngen.tasks.copy_memory import copy_memory
from rnngen.tasks.copying import induction_heads, selective_copying
from rnngen.tasks.counter_language import counter_language
from rnngen.tasks.counting import cycle_navigation, even_pairs, modular_counting, parity
from rnngen.tasks.delayed_xor import delayed_xor
from rnngen.tasks.dyck import dyck
from rnngen.tasks.in_context import fuzzy_recall, noisy_recall
from rnngen.tasks.latch import latch
from rnngen.tasks.recall import associative_recall, mqar
from rnngen.tasks.strings import bucket_sort, duplicate_string, reverse_string
from rnngen.tasks.task import Objective, Task, TaskData
from rnngen.tasks.temporal_order import temporal_order
from rnngen.tasks.word_problem import word_problem

TASKS: dict[str, Callable[..., Task]] = {
    "adding": adding,
    "associative_recall": associative_recall,
    "bucket_sort": bucket_sort,
    "copy_memory": copy_memory,
    "counter_language": counter_language,
    "cycle_navigation": cycle_navigation,
    "delayed_xor": delayed_xor,
    "duplicate_string": duplicate_string,
    "dyck": dyck,
    "even_pairs": even_pairs,
    "fuzzy_recall": fuzzy_recall,
    "induction_heads": induction_heads,
    "latch": latch,
    "modular_arithmetic": modular_arithmetic,
    "modular_counting": modular_counting,
    "mqar": mqar,
    "noisy_recall": noisy_recall,
    "parity": parity,
    "reverse_string": reverse_string,
    "selective_copying": selective_copying,
    "temporal_order": temporal_order,
    "word_problem": word_problem,
}

__all__ = [
    "TASKS",
    "Objective",
    "Task",
    "TaskData",
    "adding",
    "associative_recall",
    "bucket_sort",
    "copy_memory",
    "counter_language",
    "cycle_navigation",
    "delayed_xor",
    "duplicate_string",
    "dyck",
    "even_pairs",
    "from_arrays",
    "from_series",
    "fuzzy_recall",
    "induction_heads",
    "latch",
    "modular_arithmetic",
    "modular_counting",
    "mqar",
    "noisy_recall",
    "parity",
    "reverse_string",
    "selective_copying",
    "temporal_order",
    "word_problem",
]


def __getattr__(name: str) -> Callable[..., dict]:
    """Return what makes a task of data of one's own; it lies with the other data, on the floor above."""
    homes = {"from_arrays": "arrays", "from_series": "series"}
    if name not in homes:
        raise AttributeError(f"module 'rnngen.tasks' has no attribute {name!r}")
    return getattr(importlib.import_module(f"rnngen.datasets.{homes[name]}"), name)
