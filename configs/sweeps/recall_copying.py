"""Which cells copy what they select? The cells of `recall.py` on selective copying, bare and within a block.

8 symbols of 16 among 64 steps. 162 trials of at most 2000 updates of 32 sequences, which end when the task is solved.
All settings were fixed before any result was seen.
"""

from rnngen.config import component
from rnngen.configs.sweeps import recall
from rnngen.configs.sweeps.recall import cells, trials


def task():
    """Selective copying, by its label."""
    return {
        "selective copying, 8 of 64": component("selective_copying", length=64, count=8, vocabulary=16, eval_size=500)
    }


def get_config():
    config = recall.get_config()
    (config.task,) = task().values()
    return config


def get_sweep():
    return trials(task(), cells())
