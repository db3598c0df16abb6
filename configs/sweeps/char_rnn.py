"""Tiny Shakespeare with RNN, GRU and LSTM of 512 units (0.3, 0.9 and 1.2 million parameters), one seed each.

Chunks of 64 characters; fifteen epochs for LSTM and GRU, seven for the RNN: about an hour and a half on
one core.
"""

from rnngen.config import base_config, component
from rnngen.sweep import axis, product, zipped


def get_config():
    config = base_config()
    config.task = component("text", source="shakespeare", chunk=64)
    config.model.update({"dropout": 0.3, "recurrent_dropout": 0.2})
    config.optim.schedule = component("cosine")
    config.train.update(
        {"steps": 7200, "batch_size": 32, "eval_every": 600, "eval_batch_size": 32, "save_every": 600, "select": "best"}
    )
    config.diagnose.what = ()
    return config


def get_sweep():
    cells = axis("cell", {name.upper(): component(name, hidden_dim=512) for name in ("lstm", "gru", "rnn")})
    # Without gates the same rate overshoots.
    rates, steps = axis("optim.learning_rate", [3e-3, 3e-3, 1e-3]), axis("train.steps", [7200, 7200, 3600])
    return product(zipped(cells, rates, steps), axis("seed", range(1)))
