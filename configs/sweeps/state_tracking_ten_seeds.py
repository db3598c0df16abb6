"""Delétang et al. 2023's protocol on two regular languages: the best of ten seeds, beside all of them.

RNN, GRU and LSTM of 64 units on parity and cycle navigation, as in `state_tracking.py`: 60 trials of 3000 updates of
64 sequences of at most 40 steps, tested on 60 to 500. All settings were fixed before any result was seen.
"""

from rnngen.config import component
from rnngen.configs.sweeps import state_tracking
from rnngen.configs.sweeps.state_tracking import SIZE
from rnngen.sweep import axis, product

SEEDS = 10
LENGTHS = (20, 40, *range(60, 501, 40))


def get_config():
    config = state_tracking.get_config()
    config.diagnose.what = (component("length_generalisation", lengths=LENGTHS),)
    return config


def cells():
    return {name: state_tracking.cells()[name] for name in ("RNN", "GRU", "LSTM")}


def get_sweep():
    tasks = {
        "parity": component("parity", **SIZE),
        "cycle navigation": component("cycle_navigation", **SIZE),
    }
    return product(axis("task", tasks), axis("cell", cells()), axis("seed", range(SEEDS)))
