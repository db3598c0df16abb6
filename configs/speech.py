"""Spoken digits, a sample at a time, with a GRU and a mixture of logistics."""

from rnngen.config import base_config, component


def get_config():
    config = base_config()
    config.cell = component("gru", hidden_dim=256)
    config.task = component("speech", chunk=256)
    config.optim.learning_rate = 1e-3
    config.optim.schedule = component("cosine")
    config.train.update(
        {
            "steps": 8000,
            "batch_size": 32,
            "eval_every": 1000,
            "eval_batch_size": 100,
            "save_every": 1000,
            "select": "best",
        }
    )
    config.diagnose.examples = 16
    return config
