"""`pascanu2013_success_rate` at the paper's cap of five million updates: weeks on two cores, so for a cluster."""

from rnngen.config import shipped

_RUN = shipped("sweeps/pascanu2013_success_rate")


def get_config():
    config = _RUN.get_config()
    config.train.steps = 5_000_000
    return config


def get_sweep():
    return _RUN.get_sweep()
