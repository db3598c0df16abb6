"""The adding problem at T = 100, with an LSTM."""

from rnngen.config import base_config, component


def get_config():
    config = base_config()
    config.cell = component("lstm", hidden_dim=128)
    config.task = component("adding", length=100)
    config.train.steps = 5000
    return config
