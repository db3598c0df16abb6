"""The word problem of S5 with more updates, by generators and by all 120 elements: nonlinear cells.

A transposition, a 5-cycle and the identity generate S5, and take three tokens instead of 120. RNN, GRU, LSTM and sLSTM
of `state_tracking_groups.py` with 10,000 updates by generators, and 20,000 by all elements. Five seeds, 40 trials.
The linear cells are in `state_tracking_s5_linear.py`. All settings were fixed before any result was seen.
"""

from rnngen.config import component
from rnngen.configs.sweeps import state_tracking
from rnngen.configs.sweeps.state_tracking import SEEDS, SIZE
from rnngen.sweep import axis, chain, product


def get_config():
    config = state_tracking.get_config()
    config.train.update({"log_every": 1000, "eval_every": 1000})
    return config


def trials(tokens, steps, names):
    """The trials of some cells by one kind of tokens."""
    task = {f"S5, {tokens}": component("word_problem", group="S5", tokens=tokens, **SIZE)}
    cells = {name: state_tracking.cells()[name] for name in names}
    return product(axis("task", task), axis("cell", cells), [{"train.steps": steps}], axis("seed", range(SEEDS)))


def get_sweep():
    names = ("RNN", "GRU", "LSTM", "sLSTM")
    return chain(trials("generators", 10_000, names), trials("elements", 20_000, names))
