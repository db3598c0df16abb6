"""The contract of an output distribution."""

from collections.abc import Callable
from typing import NamedTuple


class Head(NamedTuple):
    """An output distribution.

    num_params: features a model puts out per step.
    log_prob: (outputs `[*t, *b, num_params]`, targets) -> `[*t, *b]`, natural log.
    sample: (key, outputs, temperature=1.0) -> values shaped as targets. The temperature is a Python number: 1 draws
      from the distribution, 0 takes what is most probable of it; a head says what lies between. `categorical` takes
      more.
    """

    num_params: int
    log_prob: Callable
    sample: Callable
