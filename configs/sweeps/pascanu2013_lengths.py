"""Pascanu et al. 2013, the other headline: trained on temporal order at lengths 50 to 200, tested up to 5000.

The tanh RNN with clipping and Omega as in `pascanu2013_success_rate.py`, and GRU and LSTM with Adam and clipping. Cost:
15 trials of at most 40,000 updates, 1.2 core-hours; the paper allows five million.
"""

from rnngen.config import component, shipped
from rnngen.sweep import axis, chain, product

_RUN = shipped("sweeps/pascanu2013_success_rate")
LENGTHS = (50, 100, 200, 500, 1000, 2000, 5000)


def get_config():
    config = _RUN.get_config()
    config.task = component("temporal_order", length=200, min_length=50, eval_size=10_000)
    config.train.steps = 40_000
    config.diagnose.what = (component("length_generalisation", task="temporal_order", lengths=LENGTHS),)
    return config


def get_sweep():
    smart = [trial for trial in product(_RUN.starts(), _RUN.trainings()) if trial["cell"].label == "smart tanh"]
    omega = [trial for trial in smart if trial["optim.clip_norm"].label == "SGD + clip + Omega"]
    return product(chain(_RUN.gated(), omega), axis("seed", range(5)))
