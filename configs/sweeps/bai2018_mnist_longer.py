"""Bai et al. 2018, table 1: sequential MNIST with GRU and LSTM as in `bai2018_mnist.py`, a tenth of the training.

Two runs of 8500 updates, nearly ten times through the images, where the paper trains on the order of a hundred.
About 32 minutes each on one core.
"""

from rnngen.config import component, shipped
from rnngen.sweep import axis

_MNIST = shipped("sweeps/bai2018_mnist")


def get_config():
    config = _MNIST.get_config()
    config.task = component("mnist")
    config.train.update({"steps": 8500, "eval_every": 850, "save_every": 850})
    return config


def get_sweep():
    return axis("cell", {name: cell for name, cell in _MNIST.cells().items() if name != "RNN"})
