"""Truncated back-propagation through time with a rolling window (Williams and Peng 1990): each loss reaches k steps."""

from rnngen.cells.credit import window
from rnngen.rules.local import whole_cell
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
    credit = window(steps)
    return Rule("tbptt", lambda model: whole_cell(model)._replace(credit=credit))
