"""Do the RNN and the GRU hold cycle navigation after five times the updates of `state_tracking_rates.py`?

At the rate at which they were best there, 1e-3, ten seeds: 20 trials of 100,000 updates of 64 sequences of at most 40
steps, a tenth of what Delétang et al. 2023 report; otherwise as there. Settings were fixed after that sweep and before
any result of these was seen.
"""

from rnngen.configs.sweeps import state_tracking_rates
from rnngen.configs.sweeps.state_tracking_rates import trials
from rnngen.configs.sweeps.state_tracking_ten_seeds import cells

NAMES, RATE = ("RNN", "GRU"), 1e-3


def get_config():
    config = state_tracking_rates.get_config()
    config.train.update({"steps": 100_000, "log_every": 5000, "eval_every": 5000})
    return config


def get_sweep():
    return trials({name: cells()[name] for name in NAMES}, [RATE])
