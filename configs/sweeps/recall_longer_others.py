"""Is it the updates that MQAR wants, bare and of other cells, too? What `recall_longer.py` leaves out.

GRU and LSTM, whose columns Zoology does not have, and four linear cells that write by what they read, at two rates,
with the same budget: 66 trials.
"""

from rnngen.configs.sweeps import recall_longer
from rnngen.configs.sweeps.recall import cells, task, trials

NAMES = ("GRU", "LSTM", "S6", "delta rule", "gated delta rule", "mLSTM")
RATES = (3e-3, 1e-2)


def get_config():
    return recall_longer.get_config()


def get_sweep():
    there = [tuple(map(str, trial.values())) for trial in recall_longer.get_sweep()]
    every = trials(task(), {name: cells()[name] for name in NAMES}, RATES)
    return [trial for trial in every if tuple(map(str, trial.values())) not in there]
