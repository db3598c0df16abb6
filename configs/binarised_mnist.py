"""Black and white digits made pixel by pixel, with a GRU."""

from rnngen.config import base_config, component


def get_config():
    config = base_config()
    config.cell = component("gru", hidden_dim=256)
    config.task = component("binarised_mnist")
    config.optim.learning_rate = 2e-3
    config.optim.schedule = component("cosine")
    config.train.update(
        {
            "steps": 10_000,
            "batch_size": 64,
            "eval_every": 1000,
            "eval_batch_size": 250,
            "save_every": 1000,
            "select": "best",
        }
    )
    config.diagnose.examples = 16
    return config
