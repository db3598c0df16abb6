"""Sixteen built-in cells on adding (T = 100) and on copy memory (T = 50), at one budget of 10,000 parameters.

Each cell and task has the same small search: learning rates of 0.01, 0.003 and 0.001, two seeds of each, 2000 updates
of 32 sequences; the rate with the lowest validation loss over its seeds is the one that counts. Cost: 16 cells x 2
tasks x 3 rates x 2 seeds = 192 trials. One took 25 to 40 seconds on one core, and 2 to 3 minutes for IndRNN, minGRU and
minLSTM, which the budget makes 1000 to 2000 units wide. It would make the delta rule 3310 wide, with a memory of 16
times that at each step, 42 minutes a trial: `zoo_delta_rule.py` has it with fewer keys.
"""

from rnngen.config import base_config, component
from rnngen.sweep import axis, product


def get_config():
    config = base_config()
    config.task = component("adding", length=100)
    config.model.param_budget = 10_000
    config.train.update({"steps": 2000, "batch_size": 32, "log_every": 100, "eval_every": 100, "save_every": 0})
    return config


def cells():
    def cell(name, **kwargs):
        return component(name, **kwargs)  # the budget decides how wide

    return {
        "RNN": cell("rnn"),
        "IndRNN": cell("indrnn", longest=100),
        "expRNN": cell("exprnn"),
        "coRNN": cell("cornn"),
        "GRU": cell("gru"),
        "GRU, reset before": cell("gru", reset="before"),
        "MGU": cell("mgu"),
        "LSTM": cell("lstm"),
        "LSTM, peepholes": cell("lstm", peepholes=True),
        "LSTM, coupled gates": cell("lstm", coupled=True),
        "LSTM, layer norm": cell("lstm", layer_norm=True),
        "sLSTM": cell("slstm"),
        "LEM": cell("lem"),
        "LRU": cell("lru", r_min=0.9, r_max=0.999, max_phase=0.314),
        "minGRU": cell("mingru"),
        "minLSTM": cell("minlstm"),
    }


def tasks():
    return {"adding": component("adding", length=100), "copy memory": component("copy_memory", length=50)}


def searched(pairs):
    """The same small search for every pair of a task and a cell."""
    return product(pairs, axis("optim.learning_rate", [0.01, 0.003, 0.001]), axis("seed", [0, 1]))


def get_sweep():
    return searched(product(axis("task", tasks()), axis("cell", cells())))
