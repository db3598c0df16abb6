"""Does cycle navigation take a lower rate and more updates? RNN, GRU and LSTM, three rates and ten seeds.

Delétang et al. 2023 report the best of ten seeds and of the rates 1e-3, 5e-4 and 1e-4, after a million updates. The
cells of `state_tracking_ten_seeds.py` here have these rates and seeds, and a fiftieth of the updates: 90 trials of
20,000 updates of 64 sequences of at most 40 steps, tested on 60 to 500, with the gradient's reach. Accuracy at the
lengths of training is that of the parameters with the least loss there; lengths and reach are measured at the last
ones. All settings were fixed before any result was seen.
"""

from rnngen.config import component
from rnngen.configs.sweeps import state_tracking_ten_seeds
from rnngen.configs.sweeps.state_tracking import SIZE
from rnngen.configs.sweeps.state_tracking_ten_seeds import SEEDS, cells
from rnngen.sweep import axis, product

RATES = (1e-3, 5e-4, 1e-4)


def get_config():
    config = state_tracking_ten_seeds.get_config()
    config.diagnose.what = ("gradient_flow", *config.diagnose.what)
    config.train.update({"steps": 20_000, "log_every": 2000, "eval_every": 2000, "select": "best"})
    return config


def trials(cells, rates):
    """The trials of some cells, by label, at some rates."""
    task = {"cycle navigation": component("cycle_navigation", **SIZE)}
    return product(
        axis("task", task), axis("cell", cells), axis("optim.learning_rate", rates), axis("seed", range(SEEDS))
    )


def get_sweep():
    return trials(cells(), RATES)
