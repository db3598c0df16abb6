"""Bai et al. 2018, table 1, JSB chorales: RNN, GRU and LSTM of at most 300,000 parameters, five seeds each.

The regularisers, rate and depth that `bai2018_jsb_search.py` chose for each cell on valid, to two digits. 15 runs of
1500 updates, about twenty minutes on two cores.
"""

from rnngen.config import component, shipped
from rnngen.sweep import axis, chain, product

_SEARCH = shipped("sweeps/bai2018_jsb_search")
# The same proposal won for both gated cells.
GATED = {
    "model.dropout": 0.29,
    "model.input_dropout": 0.094,
    "model.recurrent_dropout": 0.4,
    "optim.learning_rate": 9.7e-3,
    "optim.kwargs.weight_decay": 0.29,
}
PLAIN = {
    "model.dropout": 0.22,
    "model.input_dropout": 0.19,
    "model.recurrent_dropout": 0.098,
    "optim.learning_rate": 1.9e-3,
    "optim.kwargs.weight_decay": 0.12,
}


def get_config():
    config = _SEARCH.get_config()
    config.train.save_every = 0
    return config


def get_sweep():
    chosen = {"LSTM": GATED, "GRU": GATED, "RNN": PLAIN}
    cells = (product(axis("cell", {name: _cell(name)}), [values]) for name, values in chosen.items())
    return product(chain(*cells), axis("seed", range(5)))


def _cell(name):
    return component(name.lower())  # as wide as the budget allows
