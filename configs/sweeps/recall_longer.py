"""Is it the updates that MQAR wants? Six cells of `recall.py` with five times as many, at the two larger rates.

GRU and LSTM, whose columns Zoology does not have, and four linear cells that write by what they read. 72 trials of at
most 10,000 updates of 32 sequences, which end when the task is solved. Settings were fixed after `recall.py` and before
any result of these was seen.
"""

from rnngen.configs.sweeps import recall
from rnngen.configs.sweeps.recall import cells, task, trials

NAMES = ("GRU", "LSTM", "S6", "delta rule", "gated delta rule", "mLSTM")
RATES = (3e-3, 1e-2)


def get_config():
    config = recall.get_config()
    config.train.update({"steps": 10_000, "log_every": 500, "eval_every": 500})
    return config


def get_sweep():
    return trials(task(), {name: cells()[name] for name in NAMES}, RATES)
