"""The word problem of S5 by generators: what one, two and four reflections a step make of it.

As `state_tracking_s5.py`, 15 trials of 10,000 updates. All settings were fixed before any result was seen.
"""

from rnngen.configs.sweeps import state_tracking_s5
from rnngen.configs.sweeps.state_tracking_s5 import trials

get_config = state_tracking_s5.get_config


def get_sweep():
    return trials("generators", 10_000, ("delta rule, [-1, 1]", "DeltaProduct, 2 factors", "DeltaProduct, 4 factors"))
