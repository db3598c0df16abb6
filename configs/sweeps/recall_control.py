"""Does attention recall what the cells of `recall.py` do? The control, on both tasks, bare and within a block.

36 trials of at most 2000 updates of 32 sequences, which end when the task is solved.
"""

from rnngen.config import component
from rnngen.configs.sweeps import recall, recall_copying
from rnngen.configs.sweeps.recall import WIDTH, trials


def get_config():
    config = recall.get_config()
    config.diagnose.what = ()
    return config


def get_sweep():
    cells = {"attention": component("attention", hidden_dim=WIDTH)}
    return trials(recall.task() | recall_copying.task(), cells)
