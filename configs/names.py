"""Names, a character at a time, with a GRU; most names are in no list of names."""

from rnngen.config import base_config, component


def get_config():
    config = base_config()
    config.cell = component("gru", hidden_dim=256)
    config.task = component("names")
    config.model.update({"dropout": 0.3, "recurrent_dropout": 0.3})
    config.optim.learning_rate = 3e-3
    config.optim.schedule = component("cosine")
    config.train.update(
        {"steps": 3000, "batch_size": 32, "eval_every": 500, "eval_batch_size": 32, "save_every": 500, "select": "best"}
    )
    config.diagnose.examples = 16
    return config
