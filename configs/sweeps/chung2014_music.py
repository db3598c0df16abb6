"""Chung et al. 2014, table 2, on two of its sets: tanh RNN, GRU and LSTM of about equal size on polyphonic music.

Units as in the paper (100, 46 and 36), Adam instead of RMSprop with weight noise, the first frame scored as well.
18 runs (3 seeds each), about forty-five minutes on one core.
"""

from rnngen.config import base_config, component
from rnngen.sweep import axis, chain, product


def get_config():
    config = base_config()
    config.optim.learning_rate = 1e-2
    config.optim.schedule = component("cosine")
    config.train.update(
        {"batch_size": 16, "log_every": 50, "eval_every": 50, "eval_batch_size": 16, "save_every": 0, "select": "best"}
    )
    config.diagnose.what = ()
    return config


def get_sweep():
    units = {"rnn": 100, "gru": 46, "lstm": 36}
    cells = {name.upper(): component(name, hidden_dim=count) for name, count in units.items()}
    shared = product(axis("cell", cells), axis("seed", range(3)))
    return chain(_on("jsb_chorales", 5000, 100, shared), _on("musedata", 10_000, 500, shared))


def _on(name, steps, every, trials):
    task = component("music", name=name, chunk=128, score_first=True)
    return product(axis("task", {name: task}), axis("train.steps", [steps]), axis("train.eval_every", [every]), trials)
