"""Is it the rate that the last per cent of MQAR wants? Matrix states of `recall.py` in a block, with one that falls.

Along half a cosine from 3e-3 to 0, in twice the updates of `recall.py`, where `recall_longer.py` has five times as many
at a rate that stays. Settings were fixed after both and before any result of these was seen.

9 trials of at most 4000 updates of 32 sequences, which end when the task is solved.
"""

from rnngen.config import component
from rnngen.configs.sweeps import recall
from rnngen.configs.sweeps.recall import BLOCKS, cells, trials

NAMES, RATE = ("delta rule", "gated delta rule", "mLSTM"), 3e-3


def task():
    """MQAR as in `recall.py`; the label says what differs."""
    return {f"{label}, falling rate": task for label, task in recall.task().items()}


def get_config():
    config = recall.get_config()
    config.optim.schedule = component("cosine")
    config.train.steps = 4000
    return config


def get_sweep():
    return trials(task(), {name: cells()[name] for name in NAMES}, [RATE], {"block": BLOCKS["block"]})
