"""Does attention recall what the cells of `recall.py` do? The control, on the same tasks, bare and within a block.

36 trials of at most 2000 updates of 32 sequences, which end when the task is solved.
"""

from rnngen.config import component
from rnngen.configs.sweeps import recall
from rnngen.configs.sweeps.recall import WIDTH, trials


def get_config():
    config = recall.get_config()
    config.diagnose.what = ()
    return config


def get_sweep():
    return trials({"attention": component("attention", hidden_dim=WIDTH)})
