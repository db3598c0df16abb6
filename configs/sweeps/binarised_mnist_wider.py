"""Binarised MNIST pixel by pixel with GRU and LSTM as in `binarised_mnist_longer.py`, with 192 units instead of 128.

Two runs of 8500 updates, about 45 minutes each on one core.
"""

from rnngen.config import shipped
from rnngen.sweep import axis, product

_LONGER = shipped("sweeps/binarised_mnist_longer")

get_config = _LONGER.get_config


def get_sweep():
    return product(_LONGER.get_sweep(), axis("cell.kwargs.hidden_dim", [192]))
