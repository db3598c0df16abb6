"""Back-propagation through time: reverse mode through all steps."""

from rnngen.rules.local import whole_cell
from rnngen.rules.rule import Rule


def bptt() -> Rule:
    """Back-propagation through time, the default.

    Returns:
      The rule.
    """
    return Rule("bptt", whole_cell)
