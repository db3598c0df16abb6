"""Arjovsky, Shah and Bengio 2016, figure 4, with our cells: adding, T = 100, before and after 100 updates.

Cost: 40 trials of 100 updates, about five minutes on two cores; the paper's own number of updates. Settings of the
paper's code: RMSprop 0.9 at 1e-3, batch 20, gradients clipped element by element at 1, Glorot weights, learned first
carry, forget bias 1.
"""

from rnngen.config import base_config, component
from rnngen.sweep import axis, product


def get_config():
    config = base_config()
    config.cell = component("lstm", hidden_dim=128)
    config.task = component("adding", length=100)
    config.model.head_init = component("glorot")
    config.optim.update({"name": "rmsprop", "clip_norm": 0.0, "clip_value": 1.0})
    config.train.update({"steps": 100, "batch_size": 20, "log_every": 50, "eval_every": 50, "save_every": 0})
    config.diagnose.what = ("gradient_flow", "carry_norms")
    return config


def get_sweep():
    shared = {"hidden_dim": 128, "learned_carry": True}
    glorot = shared | {"recurrent_init": "glorot"}
    tiny = {"name": "normal", "kwargs": {"stddev": 0.001}}
    irnn = {"activation": "relu", "recurrent_init": "identity", "kernel_init": tiny}
    cells = {
        "tanh RNN": component("rnn", **glorot),
        "IRNN": component("rnn", **shared | irnn),
        "GRU": component("gru", **glorot),
        "LSTM": component("lstm", **glorot),
    }
    return product(axis("cell", cells), axis("seed", range(10)))
