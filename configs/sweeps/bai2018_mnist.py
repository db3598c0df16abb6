"""Bai et al. 2018, table 1: sequential and permuted MNIST at 70,000 parameters.

Six runs of 800 updates, less than one epoch, where the paper trains on the order of a hundred: thirty to forty minutes
on one core. `bai2018_mnist_longer.py` has ten epochs of two of them, `bai2018_mnist_lstm.py` twenty of one.
"""

from rnngen.config import base_config, component
from rnngen.sweep import axis, product


def get_config():
    config = base_config()
    config.model.param_budget = 70_000
    config.optim.learning_rate = 3e-3
    config.optim.schedule = component("cosine")
    config.train.update(
        {"steps": 800, "batch_size": 64, "log_every": 50, "eval_every": 400, "eval_batch_size": 250, "save_every": 400}
    )
    config.diagnose.what = ()
    return config


def cells():
    return {
        "RNN": component("rnn"),
        "GRU": component("gru"),
        "LSTM": component("lstm", chrono=784),
    }


def get_sweep():
    tasks = {"sequential": component("mnist"), "permuted": component("mnist", permuted=True)}
    return product(axis("task", tasks), axis("cell", cells()))
