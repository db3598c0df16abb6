"""Kanji drawn as the movements of a pen, with an LSTM and a mixture of Gaussians (Graves 2013)."""

from rnngen.config import base_config, component


def get_config():
    config = base_config()
    config.cell = component("lstm", hidden_dim=400)
    config.task = component("strokes", name="kanji_short", chunk=100)
    config.model.update({"dropout": 0.2, "recurrent_dropout": 0.2})
    config.optim.learning_rate = 2e-3
    config.optim.schedule = component("cosine")
    config.train.update(
        {"steps": 4000, "batch_size": 32, "eval_every": 500, "eval_batch_size": 50, "save_every": 500, "select": "best"}
    )
    config.diagnose.examples = 16
    return config
