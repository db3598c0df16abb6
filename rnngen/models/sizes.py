"""Sizes of a model, which nothing is made for, and the width that has one of a given size."""

from collections.abc import Callable

import jax

from rnngen.engines import trees
from rnngen.models.model import Model


def count_params(model: Model) -> int:
    """Count the parameters of a model, without making them.

    Args:
      model: the model.

    Returns:
      The number.
    """
    return sum(leaf.size for leaf in jax.tree.leaves(model.param_shapes))


def count_state(model: Model) -> int:
    """Count the real numbers in the carry of one sequence, without making them; a complex number is two.

    Args:
      model: the model.

    Returns:
      The number, over all layers.
    """
    return trees.count_reals(model.carry_shapes)


def widest(count: Callable[[int], int], budget: int, what: str = "parameters") -> int:
    """Find the largest width that has at most `budget` of `what`, whose count grows with the width.

    Raises:
      ValueError: a width of 1 has more already.
    """
    if count(1) > budget:
        raise ValueError(f"one unit has {count(1)} {what} already, more than {budget}")
    low, high = 1, 2
    while count(high) <= budget:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) <= budget else (low, middle)
    return low
