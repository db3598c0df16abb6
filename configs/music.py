"""Bach chorales as piano rolls, with an LSTM."""

from rnngen.config import base_config, component


def get_config():
    config = base_config()
    config.cell = component("lstm", hidden_dim=223)
    config.task = component("music", name="jsb_chorales", chunk=128)
    config.model.update({"dropout": 0.3, "input_dropout": 0.2, "recurrent_dropout": 0.5})
    config.optim.learning_rate = 4e-3
    config.optim.schedule = component("cosine")
    config.train.update(
        {"steps": 1500, "batch_size": 16, "eval_every": 100, "eval_batch_size": 16, "save_every": 500, "select": "best"}
    )
    config.diagnose.examples = 16
    return config
