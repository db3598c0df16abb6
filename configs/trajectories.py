"""Handwritten letters as the velocity of a pen, with a GRU."""

from rnngen.config import base_config, component


def get_config():
    config = base_config()
    config.cell = component("gru", hidden_dim=256)
    config.task = component("trajectories", chunk=100)
    config.optim.learning_rate = 2e-3
    config.optim.schedule = component("cosine")
    config.train.update(
        {"steps": 3000, "batch_size": 32, "eval_every": 500, "eval_batch_size": 50, "save_every": 500, "select": "best"}
    )
    config.diagnose.examples = 16
    return config
