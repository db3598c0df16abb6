"""Formal languages by the set of symbols that may follow each prefix, a bit a symbol, and one for the end."""

from collections.abc import Callable

import jax.numpy as jnp

from rnngen.heads import bernoulli
from rnngen.tasks.losses import classification_loss
from rnngen.tasks.task import Objective
from rnngen.types import Array


def next_symbols(symbols: int, baseline: Callable[[float], float]) -> Objective:
    """Make the objective of naming every symbol that may follow, at each step.

    The protocol of Gers and Schmidhuber 2001 and Bhattamishra et al. 2020: a prefix is right if exactly the symbols
    that may follow it have an output above one half, a sequence if all of its prefixes are. Loss: the cross-entropy of
    the bits, summed over the symbols.

    Args:
      symbols: of the language; one bit more is the end of the string.
      baseline: of `Objective`.

    Returns:
      The objective, with `accuracy` over steps and `sequence_accuracy`; solved above 99 % of the sequences.
    """
    head = bernoulli(symbols + 1)
    return Objective(head, classification_loss(head, _same_set, sequences=True), baseline, _solved)


def _solved(metrics: dict[str, float]) -> bool:
    return metrics["sequence_accuracy"] > 0.99


def _same_set(outputs: Array, targets: Array) -> Array:
    return jnp.all((outputs > 0) == (targets > 0), axis=-1)
