"""The contract of an output distribution."""

from collections.abc import Callable
from typing import NamedTuple


class Head(NamedTuple):
    """An output distribution.

    Attributes:
      num_params: the number of output features of a model per step.
      log_prob: (outputs `[*t, *b, num_params]`, targets) -> `[*t, *b]`, natural log.
      sample: (key, outputs, temperature=1.0) -> values in the shape of targets. The temperature is a Python number: 1
        draws from the distribution, 0 takes the most probable value, as each head states. `categorical` has more
        arguments.
      mean: (outputs) -> the expected value `[*t, *b, ...]`, of classes and bits their probabilities; default: the
        outputs as they are.
    """

    num_params: int
    log_prob: Callable
    sample: Callable
    mean: Callable = lambda outputs: outputs
