"""The delta rule beside the cells of `zoo.py`, with as many keys as the input has features: 2 on adding, 10 on copying.

Keys are linear in the input, so more of them lie in a subspace of that many dimensions, and the budget leaves the cell
wide: 3329 units on adding, where sixteen keys would take 42 minutes a trial. Same search, updates and seeds as there.
Cost: 2 tasks x 3 rates x 2 seeds = 12 trials; one on adding took about 4 minutes on one core.
"""

from rnngen.config import component, shipped
from rnngen.sweep import axis, zipped

_ZOO = shipped("sweeps/zoo")


def get_config():
    config = _ZOO.get_config()
    config.cell = component("deltarule")
    return config


def get_sweep():
    cells = {f"delta rule, {keys} keys": component("deltarule", key_dim=keys) for keys in (2, 10)}
    return _ZOO.searched(zipped(axis("task", _ZOO.tasks()), axis("cell", cells)))
