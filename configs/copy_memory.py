"""Copy memory over a delay of 100 steps, with an LSTM; gradients from four loss steps, the last among them."""

from rnngen.config import base_config, component


def get_config():
    config = base_config()
    config.cell = component("lstm", hidden_dim=128)
    config.task = component("copy_memory", length=100)
    config.train.steps = 10000
    config.diagnose.what = (component("gradient_flow", sources=4),)
    return config
