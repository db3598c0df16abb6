"""Sweeps: a space of trials in a config file, run in worker processes.

The words a config file needs are here; the driver is `rnngen.sweep.driver`.
"""

from rnngen.sweep.space import axis, chain, product, zipped

__all__ = ["axis", "chain", "product", "zipped"]
