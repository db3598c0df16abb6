"""Copy memory at T = 100 to 2000 with about 16,000 parameters (Bai et al. 2018, table 1), five seeds a cell.

Each cell has what was best for it in `long_memory_copy_search.py`, at T = 100, one seed. Cost: 60 trials of 20
sequences an update, caps on the updates by length below: 3 to 16 % of Bai's 500,000, an hour and a half on one
core.
"""

from rnngen.config import base_config, component
from rnngen.sweep import axis, chain, product, zipped

STEPS = {100: 4000, 500: 2000, 1000: 1000, 2000: 800}


def get_config():
    config = base_config()
    config.cell = component("lstm")
    config.task = component("copy_memory", length=100, variant="bai")
    config.model.param_budget = 16_000
    config.train.update({"batch_size": 20, "eval_every": 200, "save_every": 1000})
    config.train.update({"stop_metric": "sequence_accuracy", "stop_at": 0.995})
    return config


def cells(length):
    """Cell and learning rate, as the search chose them; chrono biases grow with the length."""
    chosen = {
        "GRU": component("gru", chrono=length + 20),
        "LSTM": component("lstm", chrono=length + 20),
        "RNN": component("rnn", recurrent_init="identity"),
    }
    return zipped(axis("cell", chosen), axis("optim.learning_rate", [1e-2, 1e-3, 1e-3]))


def get_sweep():
    spaces = (
        product(axis("task.kwargs.length", [n]), axis("train.steps", [cap]), cells(n)) for n, cap in STEPS.items()
    )
    return product(chain(*spaces), axis("seed", range(5)))
