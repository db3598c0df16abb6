"""The delta rule beside the cells of `zoo.py`, with as many keys as the input has features: 2 on adding, 10 on copying.

Keys are linear in the input, so more of them lie in a subspace of that many dimensions, and the budget leaves the cell
wide: 3329 units on adding, where sixteen keys would take 42 minutes a trial. Same search, updates and seeds as there.
Cost: 2 tasks x 3 rates x 2 seeds = 12 trials; one on adding took about 4 minutes on one core.
"""

from rnngen.config import base_config, component
from rnngen.sweep import axis, product, zipped


def get_config():
    config = base_config()
    config.task, config.cell = component("adding", length=100), component("deltarule", hidden_dim=1)
    config.model.param_budget = 10_000
    config.train.update({"steps": 2000, "batch_size": 32, "log_every": 100, "eval_every": 100, "save_every": 0})
    return config


def get_sweep():
    tasks = {"adding": component("adding", length=100), "copy memory": component("copy_memory", length=50)}
    cells = {f"delta rule, {keys} keys": component("deltarule", hidden_dim=1, key_dim=keys) for keys in (2, 10)}
    return product(
        zipped(axis("task", tasks), axis("cell", cells)),
        axis("optim.learning_rate", [0.01, 0.003, 0.001]),
        axis("seed", [0, 1]),
    )
