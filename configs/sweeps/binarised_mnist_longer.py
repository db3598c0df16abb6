"""Binarised MNIST pixel by pixel with GRU and LSTM as in `binarised_mnist.py`, ten times as long.

Two runs of 8500 updates, nearly eleven times through the images, where published models train on the order of a
hundred. About 25 minutes each on one core.
"""

from rnngen.config import shipped

_SHORT = shipped("sweeps/binarised_mnist")


def get_config():
    config = _SHORT.get_config()
    config.train.update({"steps": 8500, "eval_every": 850, "save_every": 850})
    return config


def get_sweep():
    return [trial for trial in _SHORT.get_sweep() if trial["cell"].label != "RNN"]
