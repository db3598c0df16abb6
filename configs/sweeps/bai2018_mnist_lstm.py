"""Bai et al. 2018, table 1: sequential MNIST with the LSTM of `bai2018_mnist.py`, a fifth of the training.

One run of 17,000 updates, nearly twenty times through the images. About 70 minutes on one core.
"""

from rnngen.config import shipped

_LONGER = shipped("sweeps/bai2018_mnist_longer")


def get_config():
    config = _LONGER.get_config()
    config.train.steps = 17_000
    return config


def get_sweep():
    return [trial for trial in _LONGER.get_sweep() if trial["cell"].label == "LSTM"]
