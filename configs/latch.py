"""Holding one bit through 100 steps of noise, with a vanilla RNN."""

from rnngen.config import base_config, component


def get_config():
    config = base_config()
    config.cell = component("rnn", hidden_dim=64)
    config.task = component("latch", length=100)
    config.train.steps = 2000
    return config
