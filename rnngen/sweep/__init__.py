"""Sweeps: a space of trials in a config file, run in worker processes, on a cluster, or many in one program.

The words a config file needs are here; the driver is `rnngen.sweep.driver`.
"""

from rnngen.sweep.ranges import choice, integers, loguniform, search, uniform
from rnngen.sweep.space import axis, chain, product, zipped

__all__ = ["axis", "chain", "choice", "integers", "loguniform", "product", "search", "uniform", "zipped"]
