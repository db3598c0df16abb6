"""The search for `bai2018_jsb.py`: regularisers, learning rate and depth on JSB chorales at 300,000 parameters.

One cell a search: set --config.cell.name. Chosen is what has the least loss on valid; 13 trials of at most 1500
updates, of which ASHA ends about half early: some fifteen minutes a cell on one quiet core.
"""

from rnngen.config import base_config, component
from rnngen.sweep import loguniform, search, uniform


def get_config():
    config = base_config()
    config.cell = component("gru")
    config.task = component("music", name="jsb_chorales", chunk=128)
    config.model.param_budget = 300_000  # that of Bai et al. 2018, table 1
    config.optim.name = "adamw"
    config.optim.schedule = component("cosine")
    config.train.update(
        {
            "steps": 1500,
            "batch_size": 16,
            "log_every": 25,
            "eval_every": 25,
            "eval_batch_size": 16,
            "save_every": 500,
            "select": "best",
        }
    )
    config.diagnose.what = ()
    return config


def get_sweep():
    return search(
        "tpe",
        space={
            "model.num_layers": [1, 2],
            "model.dropout": uniform(0.2, 0.7),
            "model.input_dropout": uniform(0.0, 0.4),
            "model.recurrent_dropout": uniform(0.0, 0.6),
            "model.locked_dropout": [False, True],
            "optim.learning_rate": loguniform(1e-3, 1e-2),
            "optim.kwargs.weight_decay": loguniform(1e-4, 1.0),
        },
        trials=13,
        pruner={"name": "asha", "first": 300, "factor": 2},
    )
