"""Binarised MNIST pixel by pixel with RNN, GRU and LSTM of 128 units.

Three runs of 800 updates, one epoch, where published models train on the order of a hundred: set
--config.train.steps for more, on a GPU. Ten minutes on one core.
"""

from rnngen.config import base_config, component
from rnngen.sweep import axis


def get_config():
    config = base_config()
    config.task = component("binarised_mnist")
    config.optim.learning_rate = 3e-3
    config.optim.schedule = component("cosine")
    config.train.update(
        {"steps": 800, "batch_size": 64, "log_every": 50, "eval_every": 400, "eval_batch_size": 250, "save_every": 400}
    )
    config.diagnose.what = ()
    return config


def get_sweep():
    return axis("cell", {name.upper(): component(name, hidden_dim=128) for name in ("rnn", "gru", "lstm")})
