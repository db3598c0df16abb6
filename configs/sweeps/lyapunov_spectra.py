"""Lyapunov spectra before and after training, of three cells and of a tanh RNN that was flossed first.

Cost: 20 trials of 2000 updates, about ten minutes on two cores.
"""

from rnngen.config import base_config, component
from rnngen.sweep import axis, product, zipped


def get_config():
    config = base_config()
    config.cell = component("rnn", hidden_dim=64)
    config.task = component("adding", length=100)
    config.train.update({"steps": 2000, "batch_size": 20, "eval_every": 500})
    config.diagnose.what = (
        "gradient_flow",
        component("lyapunov_spectrum"),
        component("jacobian_products"),
        component("recurrent_eigenvalues"),
        "gate_statistics",
    )
    config.diagnose.every = 500
    return config


def get_sweep():
    # Engelken 2023 flosses for 500 updates before training, on stretches of 55 steps.
    flossing = component("flossing", exponents=48, steps=55, before=500, until=500)
    cells = {"RNN": "rnn", "GRU": "gru", "LSTM": "lstm", "RNN, flossed": "rnn"}
    regularizers = [component("none")] * 3 + [flossing]
    return product(zipped(axis("cell.name", cells), axis("optim.regularizer", regularizers)), axis("seed", range(5)))
