"""The longer the memory, the more a parameter moves the carry: the curse of memory of Zucchet and Orvieto 2024.

Six networks of 32 units are started such that a unit keeps a share a of its state at each step, and read 400 steps of
Gaussian noise. Measured before training: the half-life of the gradient, and how far a small change of the parameters
moves the last carry. 108 trials without training.
"""

import math

from rnngen.config import base_config, component
from rnngen.sweep import axis, chain, product

HALF_LIVES = (2, 4, 8, 16, 32, 64)


def get_config():
    config = base_config()
    config.cell = component("lru", hidden_dim=32)
    config.task = component("latch", length=400, noise_variance=1.0, eval_size=100)
    config.train.update({"steps": 1, "batch_size": 16, "log_every": 1, "eval_every": 1, "save_every": 0})
    config.diagnose.examples = 64
    config.diagnose.what = ("gradient_flow", "parameter_sensitivity")
    return config


def cells(half_life):
    """Return the cells whose units keep half of their state after so many steps."""
    kept = 0.5 ** (1 / half_life)
    odds = math.log(kept / (1 - kept))
    scaled = {"activation": "identity", "recurrent_init": {"name": "identity", "kwargs": {"scale": kept}}}
    rotated = {"activation": "identity", "recurrent_init": {"name": "orthogonal", "kwargs": {"gain": kept}}}
    made = {
        "linear RNN, a I": component("rnn", hidden_dim=32, **scaled),
        "linear RNN, a times orthogonal": component("rnn", hidden_dim=32, **rotated),
        "LRU": component("lru", hidden_dim=32, r_min=kept - 1e-4, r_max=kept + 1e-4),
        "minLSTM": component("minlstm", hidden_dim=32, forget_bias=odds),
        "GRU": component("gru", hidden_dim=32, update_bias=odds),
        "LSTM": component("lstm", hidden_dim=32, forget_bias=odds),
    }
    return {f"{name}; {half_life} steps": cell for name, cell in made.items()}


def get_sweep():
    return product(chain(*(axis("cell", cells(half_life)) for half_life in HALF_LIVES)), axis("seed", range(3)))
