"""Pascanu et al.'s temporal order at T = 100, with a GRU."""

from rnngen.config import base_config, component


def get_config():
    config = base_config()
    config.cell = component("gru", hidden_dim=64)
    config.task = component("temporal_order", length=100)
    config.train.steps = 5000
    return config
