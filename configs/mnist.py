"""MNIST digits told apart after 784 pixels read one by one, with a GRU."""

from rnngen.config import base_config, component


def get_config():
    config = base_config()
    config.cell = component("gru", hidden_dim=130)
    config.task = component("mnist")
    config.optim.learning_rate = 1e-3
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
