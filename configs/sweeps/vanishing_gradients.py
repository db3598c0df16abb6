"""Three cells on the adding problem at four lengths, five seeds each: where does each cell stop learning?"""

from rnngen.config import base_config, component
from rnngen.sweep import axis, product


def get_config():
    config = base_config()
    config.cell = component("lstm", hidden_dim=128)
    config.task = component("adding", length=50)
    config.train.steps = 5000
    return config


def get_sweep():
    return product(
        axis("cell.name", ["rnn", "gru", "lstm"]),
        axis("task.kwargs.length", [50, 100, 200, 400]),
        axis("seed", range(5)),
    )
