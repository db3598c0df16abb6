"""The credit of each learning rule by lag, for networks that back-propagation has trained at a lag of 25.

A GRU of 16 units as in `learning_rules.py`, four tasks, three seeds: 12 trials of 1000 batches, diagnosed before and
after.
"""

from rnngen.config import base_config, component
from rnngen.sweep import axis, product

RULES = ("rtrl", component("tbptt", steps=10), "snap1", "eprop", "uoro", "immediate", "random")


def get_config():
    config = base_config()
    config.cell = component("gru", hidden_dim=16)
    config.task = component("temporal_order", length=30, eval_size=100)
    config.optim.learning_rate = 1e-2
    config.train.update({"steps": 1000, "batch_size": 16, "log_every": 100, "eval_every": 1000, "save_every": 0})
    config.diagnose.examples = 16
    config.diagnose.what = (component("rule_credit", rules=RULES),)
    return config


def get_sweep():
    tasks = {
        "adding": component("adding", length=33, eval_size=100),
        "copy memory": component("copy_memory", length=23, vocabulary=4, count=2, eval_size=100),
        "delayed XOR": component("delayed_xor", length=50, delay=25, eval_size=100),
        "temporal order": component("temporal_order", length=30, eval_size=100),
    }
    return product(axis("task", tasks), axis("seed", range(3)))
