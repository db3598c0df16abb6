"""Is it the updates that MQAR wants? The two best of `recall.py`, delta rules within a block, with five times as many.

Six trials of at most 10,000 updates of 32 sequences, which end when the task is solved. Settings were fixed after
`recall.py` and before any result of these was seen. Other cells and rates: `recall_longer_others.py`.
"""

from rnngen.configs.sweeps import recall
from rnngen.configs.sweeps.recall import BLOCKS, cells, task, trials

NAMES, RATE = ("delta rule", "gated delta rule"), 3e-3


def get_config():
    config = recall.get_config()
    config.train.update({"steps": 10_000, "log_every": 500, "eval_every": 500})
    return config


def get_sweep():
    return trials(task(), {name: cells()[name] for name in NAMES}, [RATE], {"block": BLOCKS["block"]})
