"""In which learning rates does a cell learn a task? Nine of them on a logarithmic grid, three seeds each.

Of any cell and task: `--config.cell.name=lstm --config.task.name=latch`. The figure `learning_rate_window` has the
share of seeds that solved the task against the rate, and the width of the window in decades. 27 trials of 1000 updates.
"""

from rnngen.config import base_config, component
from rnngen.sweep import axis, product

RATES = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0]  # four decades, two rates in each
SEEDS = 3


def get_config():
    config = base_config()
    config.cell = component("gru", hidden_dim=32)
    config.task = component("adding", length=20, eval_size=500)
    config.train.update({"steps": 1000, "batch_size": 32, "log_every": 100, "eval_every": 100, "save_every": 0})
    config.diagnose.what = ()  # so that a control, which has no carry, may stand in the place of the cell
    return config


def get_sweep():
    return product(axis("optim.learning_rate", RATES), axis("seed", range(SEEDS)))
