"""The half-life of the gradient that trains, beside the imposed one: temporal order of `dose_response.py`, two seeds.

110 trials of 500 updates.
"""

from rnngen.config import base_config, component
from rnngen.sweep import axis, product

HALF_LIVES = (1, 2, 4, 8, 12, 16, 24, 32, 64)


def get_config():
    config = base_config()
    config.cell = component("lstm", hidden_dim=32)
    config.task = component("temporal_order", length=40, eval_size=500)
    config.optim.learning_rate = 3e-3
    config.train.update({"steps": 500, "batch_size": 32, "log_every": 100, "eval_every": 500, "save_every": 0})
    config.diagnose.examples = 32
    return config


def get_sweep():
    cells = {name: name.lower() for name in ("RNN", "GRU", "LSTM", "minGRU", "minLSTM")}
    imposed = {f"half-life {steps}": component("decay", half_life=float(steps)) for steps in HALF_LIVES}
    doses = imposed | {"all": component("none"), "renormalised": component("renormalise")}
    return product(axis("cell.name", cells), axis("train.credit", doses), axis("seed", range(2)))
