"""The search for `long_memory_copy.py`: six settings a cell on copy memory at T = 100, one seed each.

Taken for all lengths is the setting with the least loss on valid. Eighteen trials of 2000 updates, ten minutes on
two cores.
"""

from rnngen.config import base_config, component
from rnngen.sweep import axis, product


def get_config():
    config = base_config()
    config.cell = component("lstm")
    config.task = component("copy_memory", length=100, variant="bai")
    config.model.param_budget = 16_000  # that of Bai et al. 2018, table 1
    config.train.update({"steps": 2000, "batch_size": 20, "eval_every": 500})
    config.diagnose.what = ()
    return config


def get_sweep():
    identity = {"name": "identity", "kwargs": {}}
    rnns = [component("rnn"), component("rnn", recurrent_init=identity)]
    gated = [component(name, chrono=chrono) for name in ("gru", "lstm") for chrono in (0, 120)]
    return product(axis("cell", [*rnns, *gated]), axis("optim.learning_rate", [1e-3, 3e-3, 1e-2]))
