"""In which learning rates does each cell learn, and how wide is the window? All built-in cells on two tasks.

Adding over 20 steps, and copying two of four symbols over a wait of 10: short enough that what differs is how a cell
takes to its rate and not how far it remembers. Twenty cells of 32 units and four whose eigenvalues may be negative,
nine rates from 1e-4 to 1, three seeds, Adam with gradients clipped to a norm of 1. All settings were fixed before any
result was seen.

1296 trials of at most 1000 updates of 32 sequences, which end when the task is solved.
"""

from rnngen.config import base_config, component
from rnngen.configs.sweeps.learning_rate_window import RATES, SEEDS
from rnngen.sweep import axis, chain, product

UNITS = 32


def get_config():
    config = base_config()
    config.cell = component("gru", hidden_dim=UNITS)
    config.task = component("adding", length=20, eval_size=500)
    config.train.update({"steps": 1000, "batch_size": 32, "log_every": 100, "eval_every": 100, "save_every": 0})
    config.train.stop_at = 0.995
    return config


def cells():
    def cell(name, **kwargs):
        return component(name, hidden_dim=UNITS, **kwargs)

    return {
        "RNN": cell("rnn"),
        "IndRNN": cell("indrnn"),
        "expRNN": cell("exprnn"),
        "coRNN": cell("cornn"),
        "LEM": cell("lem"),
        "GRU": cell("gru"),
        "MGU": cell("mgu"),
        "LSTM": cell("lstm"),
        "sLSTM": cell("slstm"),
        "minGRU": cell("mingru"),
        "minGRU, [-1, 1]": cell("mingru", min_eigenvalue=-1.0),
        "minLSTM": cell("minlstm"),
        "LRU": cell("lru"),
        "S4D": cell("s4d"),
        "S6": cell("s6"),
        "S6, [-1, 1]": cell("s6", min_eigenvalue=-1.0),
        "RG-LRU": cell("rglru"),
        "mLSTM": cell("mlstm"),
        "delta rule": cell("deltarule"),
        "delta rule, [-1, 1]": cell("deltarule", min_eigenvalue=-1.0),
        "gated delta rule": cell("gated_deltarule"),
        "gated delta rule, [-1, 1]": cell("gated_deltarule", min_eigenvalue=-1.0),
        "DeltaProduct": cell("deltaproduct"),
        "RWKV-7": cell("rwkv7"),
    }


def get_sweep():
    copying = component("copy_memory", length=10, vocabulary=4, count=2, eval_size=500)
    tasks = chain(
        product(axis("task", {"adding": get_config().task}), [{"train.stop_metric": "accuracy"}]),
        product(axis("task", {"copy memory": copying}), [{"train.stop_metric": "sequence_accuracy"}]),
    )
    return product(tasks, axis("cell", cells()), axis("optim.learning_rate", RATES), axis("seed", range(SEEDS)))
