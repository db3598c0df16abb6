"""Truncated back-propagation through time with a rolling window (Williams and Peng 1990): each loss reaches k steps."""

from rnngen.rules.local import cut_after
from rnngen.rules.rule import Rule


def tbptt(steps: int = 10) -> Rule:
    """Cut the gradient of each loss after a number of steps of the whole model.

    Args:
      steps: that a loss reaches, its own among them.

    Returns:
      The rule.

    Raises:
      ValueError: steps is below one.
    """
    return Rule("tbptt", cut_after(steps))
