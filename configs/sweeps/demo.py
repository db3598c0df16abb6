"""The demo: three cells on the adding problem and on scanned digits, three seeds each.

Every cell has 64 units and the same optimiser, settings fixed before any result was seen.
"""

from rnngen.config import base_config, component
from rnngen.sweep import axis, product, zipped


def get_config():
    config = base_config()
    config.cell = component("lstm", hidden_dim=64)
    config.optim.learning_rate = 3e-3
    config.train.eval_every = 500
    return config


def get_sweep():
    tasks = axis("task", [component("adding", length=60), component("digits")])
    return product(
        zipped(tasks, axis("train.steps", [3000, 1500])),
        axis("cell.name", ["rnn", "gru", "lstm"]),
        axis("seed", range(3)),
    )
