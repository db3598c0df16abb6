"""Tiny Shakespeare, a character at a time, with an LSTM: truncated back-propagation over chunks of 64 characters."""

from rnngen.config import base_config, component


def get_config():
    config = base_config()
    config.cell = component("lstm", hidden_dim=512)
    config.task = component("text", source="shakespeare", chunk=64)
    config.model.update({"dropout": 0.3, "recurrent_dropout": 0.2})
    config.optim.learning_rate = 3e-3
    config.optim.schedule = component("cosine")
    config.train.update(
        {"steps": 7200, "batch_size": 32, "eval_every": 600, "eval_batch_size": 32, "save_every": 600, "select": "best"}
    )
    config.diagnose.examples = 16
    return config
