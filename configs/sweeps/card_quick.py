"""The small form of `sweeps/card`: short sequences, 300 updates, three learning rates, one seed; 12 trials a cell."""

from rnngen.config import shipped

get_config = shipped("sweeps/card").get_config


def get_sweep():
    return shipped("sweeps/card").get_sweep(quick=True)
