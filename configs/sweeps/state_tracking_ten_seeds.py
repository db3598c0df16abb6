"""Delétang et al. 2023's protocol on two regular languages: the best of ten seeds, beside all of them.

RNN, GRU and LSTM of 64 units on parity and cycle navigation, as in `state_tracking.py`: 60 trials of 3000 updates of
64 sequences of at most 40 steps, tested on 60 to 500. All settings were fixed before any result was seen.
"""

from rnngen.config import base_config, component
from rnngen.sweep import axis, product

SEEDS = 10
LENGTHS = (20, 40, *range(60, 501, 40))
SIZE = {"length": 40, "min_length": 1, "eval_size": 500}


def get_config():
    config = base_config()
    config.cell = component("lstm", hidden_dim=64)
    config.task = component("parity", **SIZE)
    config.optim.learning_rate = 3e-3
    config.train.update({"steps": 3000, "batch_size": 64, "log_every": 250, "eval_every": 250, "save_every": 0})
    config.diagnose.what = (component("length_generalisation", lengths=LENGTHS),)
    return config


def get_sweep():
    tasks = {
        "parity": component("parity", **SIZE),
        "cycle navigation": component("cycle_navigation", **SIZE),
    }
    cells = {name.upper(): component(name, hidden_dim=64) for name in ("rnn", "gru", "lstm")}
    return product(axis("task", tasks), axis("cell", cells), axis("seed", range(SEEDS)))
