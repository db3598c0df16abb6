"""Delétang et al.'s parity, trained on 1 to 40 bits and tested to 500, with an LSTM; `task.name` takes their others."""

from rnngen.config import base_config, component

LENGTHS = (40, 60, 80, 100, 150, 200, 300, 400, 500)


def get_config():
    config = base_config()
    config.cell = component("lstm", hidden_dim=64)
    config.task = component("parity", length=40, min_length=1)
    config.optim.learning_rate = 3e-3
    config.train.steps = 3000
    config.train.batch_size = 128
    config.diagnose.what = ("gradient_flow", component("length_generalisation", lengths=LENGTHS))
    return config
