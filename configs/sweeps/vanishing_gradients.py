"""Three cells on the adding problem at four lengths, five seeds each: where does each cell stop learning?

Sixty trials; about 70 minutes on two cores, by the steps per second of single runs at both ends of the range.
"""

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
