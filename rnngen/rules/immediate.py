"""Immediate derivatives: none through the carry, so that J = 0. The window of one step."""

from rnngen.rules.local import cut_after
from rnngen.rules.online import check_every
from rnngen.rules.rule import Rule


def immediate(update_every: int = 0) -> Rule:
    """Derive each loss through its own step alone.

    Args:
      update_every: steps after which the parameters are updated, within a sequence; 0: once, at its end.

    Returns:
      The rule.

    Raises:
      ValueError: update_every is negative.
    """
    check_every(update_every)
    return Rule("immediate", cut_after(1), lambda *_: None, update_every)
