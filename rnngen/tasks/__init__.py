"""Tasks. `TASKS` is every built-in, by the name a config gives it."""

from collections.abc import Callable

from rnngen.tasks.adding import adding
from rnngen.tasks.copy_memory import copy_memory
from rnngen.tasks.digits import digits
from rnngen.tasks.latch import latch
from rnngen.tasks.mnist import binarised_mnist, mnist
from rnngen.tasks.music import music
from rnngen.tasks.names import names
from rnngen.tasks.speech import speech
from rnngen.tasks.strokes import strokes
from rnngen.tasks.task import Task
from rnngen.tasks.temporal_order import temporal_order
from rnngen.tasks.text import text
from rnngen.tasks.trajectories import trajectories

TASKS: dict[str, Callable[..., Task]] = {
    "adding": adding,
    "binarised_mnist": binarised_mnist,
    "copy_memory": copy_memory,
    "digits": digits,
    "latch": latch,
    "mnist": mnist,
    "music": music,
    "names": names,
    "speech": speech,
    "strokes": strokes,
    "temporal_order": temporal_order,
    "text": text,
    "trajectories": trajectories,
}

__all__ = [
    "TASKS",
    "Task",
    "adding",
    "binarised_mnist",
    "copy_memory",
    "digits",
    "latch",
    "mnist",
    "music",
    "names",
    "speech",
    "strokes",
    "temporal_order",
    "text",
    "trajectories",
]
