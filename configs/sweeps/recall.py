"""Which cells recall what they were told? Nine cells on MQAR with 8 pairs, bare and within a block.

Two layers of 64 units: Zoology's shape of model, in small. The columns of RNN, GRU and LSTM are those that Zoology
does not have (Arora et al. 2023). Bare layers are the cells stacked; a block has a norm, a short convolution, a
residual and a gated MLP. The same on selective copying is `recall_copying.py`, and attention, the control, is in
`recall_control.py`: it has no carry for the gradient to reach through. All have the same three rates and the same
budget. All settings were fixed before any result was seen.

162 trials of at most 2000 updates of 32 sequences, which end when the task is solved.
"""

from rnngen.config import base_config, component
from rnngen.sweep import axis, product

WIDTH, SEEDS = 64, 3
RATES = (1e-3, 3e-3, 1e-2)


def task():
    """MQAR, by its label."""
    return {"MQAR, 8 pairs": component("mqar", length=64, pairs=8, vocabulary=64, eval_size=500)}


def get_config():
    config = base_config()
    config.cell = component("lstm", hidden_dim=WIDTH)
    config.model.num_layers = 2
    config.model.embed_dim = WIDTH
    (config.task,) = task().values()
    config.train.update({"steps": 2000, "batch_size": 32, "log_every": 200, "eval_every": 200, "save_every": 0})
    config.train.update({"stop_metric": "accuracy", "stop_at": 0.995})
    return config


def cells():
    def cell(name, **kwargs):
        return component(name, hidden_dim=WIDTH, **kwargs)

    return {
        "RNN": cell("rnn"),
        "GRU": cell("gru"),
        "LSTM": cell("lstm"),
        "minGRU": cell("mingru"),
        "S4D": cell("s4d"),
        "S6": cell("s6"),
        "delta rule": cell("deltarule"),
        "gated delta rule": cell("gated_deltarule"),
        "mLSTM": cell("mlstm"),
    }


BLOCKS = {"bare": component("none"), "block": component("block")}


def trials(tasks, cells, rates=RATES, blocks=BLOCKS):
    """The trials of some cells on tasks, both by label."""
    return product(
        axis("task", tasks),
        axis("model.block", blocks),
        axis("cell", cells),
        axis("optim.learning_rate", rates),
        axis("seed", range(SEEDS)),
    )


def get_sweep():
    return trials(task(), cells())
