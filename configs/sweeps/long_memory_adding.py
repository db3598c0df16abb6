"""Adding at T = 200, 400 and 600 with about 70,000 parameters (Bai et al. 2018, table 1), five seeds a cell.

Each cell has what was best for it in `long_memory_adding_search.py`: learning rate 0.01 for all, chrono biases for
GRU and LSTM, the identity for the RNN. Training ends when the loss on valid is under 5e-4. Cost: 45 trials of at
most 4000 updates of 20 sequences, two to three core-hours. `long_memory_full.py` has Bai's amount of training.
"""

from rnngen.config import base_config, component
from rnngen.sweep import axis, chain, product

STEPS = 4000


def get_config():
    config = base_config()
    config.cell = component("lstm")
    config.task = component("adding", length=200, variant="anywhere")
    config.model.param_budget = 70_000
    config.optim.learning_rate = 1e-2
    config.train.update({"steps": STEPS, "batch_size": 20, "eval_every": 200, "save_every": 1000})
    config.train.update({"stop_metric": "loss", "stop_at": 5e-4})
    return config


def chosen(name, length):
    start = {"recurrent_init": "identity"} if name == "rnn" else {"chrono": length}
    return component(name, **start)


def get_sweep():
    def cells(names, length):
        settings = axis("cell", {name.upper(): chosen(name, length) for name in names})
        return product(settings, axis("task.kwargs.length", [length]), axis("seed", range(5)))

    gated = [cells(("gru", "lstm"), length) for length in (600, 200, 400)]
    return chain(*gated, *(cells(("rnn",), length) for length in (600, 400, 200)))
