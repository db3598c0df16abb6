"""How large should the hidden state be? Chosen by validation: a GRU on a small set and on a large one.

JSB chorales by cross-validation over five folds, tiny Shakespeare by its hold-out tenth with three seeds. Each run is
judged by its parameters with the least loss on valid, looked at ten times. Cost: 25 trials of 600 updates and 12 of
500, about eight core-minutes. Both sets are downloaded, or found in the folder that RNNGEN_DATA names.
"""

from rnngen.config import base_config, component
from rnngen.sweep import axis, chain, product

CHORALES = component("music", name="jsb_chorales", chunk=64, folds=5)
SHAKESPEARE = component("text", source="shakespeare", chunk=64)


def get_config():
    config = base_config()
    config.cell = component("gru", hidden_dim=64)
    config.task = CHORALES
    config.optim.learning_rate = 1e-2
    config.optim.schedule = component("cosine")
    config.train.update({"steps": 600, "batch_size": 16, "log_every": 60, "eval_every": 60, "eval_batch_size": 16})
    config.train.update({"save_every": 0, "select": "best"})
    config.diagnose.what = ()
    return config


def sizes(*values):
    return axis("cell.kwargs.hidden_dim", values)


def get_sweep():
    folds, seeds = axis("task.kwargs.fold", range(5)), axis("seed", range(3))
    small = product(sizes(16, 32, 64, 128, 256), axis("task", {"JSB chorales": CHORALES}), folds)
    often = {"train.steps": 500, "train.log_every": 50, "train.eval_every": 50, "train.eval_batch_size": 100}
    large = product(sizes(32, 64, 128, 256), axis("task", {"tiny Shakespeare": SHAKESPEARE}), [often], seeds)
    return chain(small, large)
