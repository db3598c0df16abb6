"""Which cells track a state? Fourteen cells on two regular languages, trained on at most 40 steps and tested to 500.

Parity and modular arithmetic without brackets here, the word problems of S3 and S5 in `state_tracking_groups.py`, with
the theorem's prediction beside each outcome: linear recurrences whose eigenvalues are all positive cannot track parity
(Grazzi et al. 2025), one Householder factor with eigenvalues down to -1 does, S3 takes two factors, S5 four. Every cell
has one layer with 64 outputs, the same rate and the same budget. All settings were fixed before any result was seen.

140 trials of 3000 updates of 64 sequences. What is kept is chosen at the lengths of training, never at longer ones.
"""

from rnngen.config import base_config, component
from rnngen.sweep import axis, product

WIDTH, SEEDS = 64, 5
LENGTHS = (20, 40, 60, 100, 200, 300, 400, 500)
SIZE = {"length": 40, "min_length": 1, "eval_size": 500}


def get_config():
    config = base_config()
    config.cell = component("lstm", hidden_dim=WIDTH)
    config.task = component("parity", **SIZE)
    config.optim.learning_rate = 3e-3
    config.train.update({"steps": 3000, "batch_size": 64, "log_every": 250, "eval_every": 250, "save_every": 0})
    config.diagnose.what = (component("length_generalisation", lengths=LENGTHS),)
    return config


def cells():
    def cell(name, **kwargs):
        return component(name, hidden_dim=WIDTH, **kwargs)

    return {
        "RNN": cell("rnn"),
        "GRU": cell("gru"),
        "LSTM": cell("lstm"),
        "sLSTM": cell("slstm"),
        "mLSTM": cell("mlstm"),
        "minGRU, [0, 1]": cell("mingru"),
        "minGRU, [-1, 1]": cell("mingru", min_eigenvalue=-1.0),
        "LRU, complex": cell("lru"),
        "S6, [0, 1]": cell("s6"),
        "S6, [-1, 1]": cell("s6", min_eigenvalue=-1.0),
        "delta rule, [0, 1]": cell("deltarule"),
        "delta rule, [-1, 1]": cell("deltarule", min_eigenvalue=-1.0),
        "DeltaProduct, 2 factors": cell("deltaproduct", factors=2),
        "DeltaProduct, 4 factors": cell("deltaproduct", factors=4),
    }


def get_sweep():
    tasks = {
        "parity": component("parity", **SIZE),
        "modular arithmetic": component("modular_arithmetic", **SIZE),
    }
    return product(axis("task", tasks), axis("cell", cells()), axis("seed", range(SEEDS)))
