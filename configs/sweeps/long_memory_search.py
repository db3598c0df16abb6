"""The search of `experiments/long_memory.py`: six settings a cell on adding at T = 200, the best on valid taken for all lengths.

Eighteen trials; about ten minutes on two cores.
"""

from rnngen.config import base_config, component
from rnngen.sweep import axis, product


def get_config():
    config = base_config()
    config.cell = component("lstm", hidden_dim=1)
    config.task = component("adding", length=200, variant="anywhere")
    config.model.param_budget = 70_000  # that of Bai et al. 2018, table 1
    config.train.steps = 2000
    config.train.batch_size = 20
    config.train.eval_every = 200
    config.train.stop_metric, config.train.stop_at = "loss", 5e-4
    config.diagnose.what = ()
    return config


def get_sweep():
    starts = {
        "rnn": [{}, {"recurrent_init": {"name": "identity", "kwargs": {}}}],
        "gru": [{}, {"chrono": 200}],
        "lstm": [{}, {"chrono": 200}],
    }
    cells = [component(name, hidden_dim=1, **kwargs) for name, options in starts.items() for kwargs in options]
    return product(axis("cell", cells), axis("optim.learning_rate", [1e-3, 3e-3, 1e-2]))
