"""Scanned digits pixel by pixel, 64 steps, with a GRU."""

from rnngen.config import base_config, component


def get_config():
    config = base_config()
    config.cell = component("gru", hidden_dim=64)
    config.task = component("digits")
    config.optim.learning_rate = 3e-3
    config.train.steps = 4000
    return config
