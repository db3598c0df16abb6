"""Tiny Shakespeare with RNN, GRU and LSTM of 512 units (0.3, 0.9 and 1.2 million parameters), one seed each.

Ten epochs: about an hour for the LSTM on one core, less for the others.
"""

from rnngen.config import base_config, component
from rnngen.sweep import axis, product, zipped


def get_config():
    config = base_config()
    config.task = component("text", source="shakespeare", chunk=128)
    config.model.update({"dropout": 0.3, "recurrent_dropout": 0.3})
    config.optim.schedule = component("cosine")
    config.train.update(
        {"steps": 2400, "batch_size": 32, "eval_every": 300, "eval_batch_size": 32, "save_every": 300, "select": "best"}
    )
    config.diagnose.what = ()
    return config


def get_sweep():
    cells = axis("cell", [component(name, hidden_dim=512) for name in ("lstm", "gru", "rnn")])
    # Without gates the same rate overshoots.
    return product(zipped(cells, axis("optim.learning_rate", [2e-3, 2e-3, 1e-3])), axis("seed", range(1)))
