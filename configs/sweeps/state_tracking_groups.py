"""Which cells solve the word problem of a group? The cells of `state_tracking.py` on S3 and S5, in the same way.

140 trials of 3000 updates of 64 sequences of at most 40 elements, tested to 500.
"""

from rnngen.config import component
from rnngen.configs.sweeps.state_tracking import SEEDS, SIZE, cells, get_config
from rnngen.sweep import axis, product

__all__ = ["get_config", "get_sweep"]


def get_sweep():
    tasks = {group: component("word_problem", group=group, **SIZE) for group in ("S3", "S5")}
    return product(axis("task", tasks), axis("cell", cells()), axis("seed", range(SEEDS)))
