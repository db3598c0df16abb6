"""The word problem of a finite group: keep the product of the elements read so far."""

import numpy as np

from rnngen.tasks.automaton import Automaton, automaton_task
from rnngen.tasks.groups import group as make_group
from rnngen.tasks.sampling import split_lengths
from rnngen.tasks.task import Task
from rnngen.types import check_one_of

TOKENS = ("elements", "generators")


def word_problem(
    length: int = 128,
    *,
    min_length: int | None = None,
    eval_length: int | tuple[int, int] | None = None,
    group: str = "S3",
    tokens: str = "elements",
    label: str = "each",
    train_size: int | None = None,
    eval_size: int = 1000,
) -> Task:
    """Name the product g_1 g_2 ... g_t of the elements of a group that were read: s_t = s_{t-1} g_t.

    The word problem of S5 is complete for NC1 (Barrington 1989), which linear recurrences with a diagonal transition do
    not reach (Merrill, Petty and Sabharwal 2024). Lengths as in DeltaProduct (Siems et al. 2025): trained on 128 steps,
    tested to 512. Loss: cross-entropy. Baseline: the entropy of the product given the last element. Solved above 99 %
    accuracy.

    Args:
      length: the longest sequence in training.
      min_length: the shortest one; None: `length`.
      eval_length: the length in evaluation, or (shortest, longest); None: as in training.
      group: "Z2" to "Z120", "S3", "S4", "S5", "A4" or "A5": see `rnngen.tasks.groups.group`.
      tokens: "elements": uniform over the group; "generators": over a generating set and the identity.
      label: "end": the loss is at the last step; "each": at every step.
      train_size: examples in a finite training set; None: an endless stream.
      eval_size: examples in each evaluation split.

    Returns:
      The task.

    Raises:
      ValueError: the group, the tokens or the label are unknown, or a length or size is out of range.
    """
    check_one_of(TOKENS, tokens=tokens)
    table, generators = make_group(group)
    table = table if tokens == "elements" else table[:, list(generators)]
    automaton = Automaton(table, np.arange(len(table)), ((0, table.shape[1]),))
    return automaton_task(automaton, split_lengths(length, min_length, eval_length), label, train_size, eval_size)
