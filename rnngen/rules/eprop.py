"""e-prop (Bellec et al. 2020), which for a plain or leaky RNN is RFLO (Murray 2019).

As SnAp-1, but what goes through `hidden(carry) @ recurrent_kernel` has no derivative in the carry, not even from a unit
to itself: the trace of a parameter is kept by what the cell does to its own state alone. The learning signal is the
loss's exact derivative at the same step.
"""

from rnngen.rules.local import without_recurrence
from rnngen.rules.rule import Rule
from rnngen.rules.snap1 import local_rule


def eprop(update_every: int = 0) -> Rule:
    """Follow each parameter to its own unit, without the recurrent product.

    Args:
      update_every: steps after which the parameters are updated, within a sequence; 0: once, at its end.

    Returns:
      The rule.

    Raises:
      ValueError: update_every is negative.
    """
    return local_rule("eprop", without_recurrence, update_every)
