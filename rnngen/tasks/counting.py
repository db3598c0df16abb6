"""Counting modulo n: parity, the number of ones, the parity of changes, and steps around a cycle."""

import jax.numpy as jnp
import numpy as np

from rnngen.tasks.automaton import Automaton, automaton_task
from rnngen.tasks.needs import read_at_end
from rnngen.tasks.sampling import split_lengths
from rnngen.tasks.task import Task
from rnngen.types import check_positive


def parity(
    length: int = 40,
    *,
    min_length: int | None = 1,
    eval_length: int | tuple[int, int] | None = None,
    label: str = "end",
    train_size: int | None = None,
    eval_size: int = 1000,
) -> Task:
    """Say whether the number of ones in a string of random bits is odd: s_t = s_{t-1} xor x_t.

    A linear recurrence whose eigenvalues are all positive cannot, at every length (Grazzi et al. 2025). Lengths as in
    Delétang et al. 2023: trained on 1 to 40, tested on `eval_length=(41, 500)`. Loss: cross-entropy. Baseline: ln 2 at
    the end. Solved above 99 % accuracy.

    Args:
      length: the longest sequence in training.
      min_length: the shortest one; None: `length`.
      eval_length: the length in evaluation, or (shortest, longest); None: as in training.
      label: "end": the loss is at the last step; "each": at every step.
      train_size: examples in a finite training set; None: an endless stream.
      eval_size: examples in each evaluation split.

    Returns:
      The task.

    Raises:
      ValueError: the label is unknown, or a length or size is out of range.
    """
    lengths = split_lengths(length, min_length, eval_length)
    return automaton_task(_cycle(2, [0, 1]), lengths, label, train_size, eval_size)


def modular_counting(
    length: int = 40,
    *,
    min_length: int | None = 1,
    eval_length: int | tuple[int, int] | None = None,
    modulus: int = 3,
    label: str = "end",
    train_size: int | None = None,
    eval_size: int = 1000,
) -> Task:
    """Count the ones in a string of random bits modulo n: s_t = (s_{t-1} + x_t) mod n.

    Above n = 2, a linear recurrence needs complex eigenvalues, or state-transition matrices that are not triangular
    (Grazzi et al. 2025). Loss: cross-entropy. Baseline: the entropy of the count given the last bit. Solved above 99 %
    accuracy.

    Args:
      length: the longest sequence in training.
      min_length: the shortest one; None: `length`.
      eval_length: the length in evaluation, or (shortest, longest); None: as in training.
      modulus: n.
      label: "end": the loss is at the last step; "each": at every step.
      train_size: examples in a finite training set; None: an endless stream.
      eval_size: examples in each evaluation split.

    Returns:
      The task.

    Raises:
      ValueError: the modulus is below 2, the label is unknown, or a length or size is out of range.
    """
    check_modulus(modulus=modulus)
    lengths = split_lengths(length, min_length, eval_length)
    return automaton_task(_cycle(modulus, [0, 1]), lengths, label, train_size, eval_size)


def cycle_navigation(
    length: int = 40,
    *,
    min_length: int | None = 1,
    eval_length: int | tuple[int, int] | None = None,
    positions: int = 5,
    label: str = "end",
    train_size: int | None = None,
    eval_size: int = 1000,
) -> Task:
    """Walk around a cycle and say where you are: s_t = (s_{t-1} + m_t) mod 5, each move m_t among 0, +1 and -1.

    Delétang et al. 2023: tokens 0, 1 and 2 are these moves. Loss: cross-entropy. Baseline: the entropy of the position
    given the last move, ln 5 but for short sequences. Solved above 99 % accuracy.

    Args:
      length: the longest sequence in training.
      min_length: the shortest one; None: `length`.
      eval_length: the length in evaluation, or (shortest, longest); None: as in training.
      positions: on the cycle.
      label: "end": the loss is at the last step; "each": at every step.
      train_size: examples in a finite training set; None: an endless stream.
      eval_size: examples in each evaluation split.

    Returns:
      The task.

    Raises:
      ValueError: there are fewer than 2 positions, the label is unknown, or a length or size is out of range.
    """
    check_modulus(positions=positions)
    lengths = split_lengths(length, min_length, eval_length)
    return automaton_task(_cycle(positions, [0, 1, -1]), lengths, label, train_size, eval_size)


def even_pairs(
    length: int = 40,
    *,
    min_length: int | None = 1,
    eval_length: int | tuple[int, int] | None = None,
    label: str = "end",
    train_size: int | None = None,
    eval_size: int = 1000,
) -> Task:
    """Say whether the number of changes, 01 or 10, in a string of random bits is odd.

    That is x_1 xor x_t: only the first bit has to be remembered (Delétang et al. 2023). Loss: cross-entropy. Baseline:
    ln 2 at the end of two bits or more. Solved above 99 % accuracy.

    Args:
      length: the longest sequence in training.
      min_length: the shortest one; None: `length`.
      eval_length: the length in evaluation, or (shortest, longest); None: as in training.
      label: "end": the loss is at the last step; "each": at every step.
      train_size: examples in a finite training set; None: an endless stream.
      eval_size: examples in each evaluation split.

    Returns:
      The task.

    Raises:
      ValueError: the label is unknown, or a length or size is out of range.
    """
    lengths = split_lengths(length, min_length, eval_length)
    # State 0 is the start; the others are 1 + 2 * (first bit) + (last bit).
    table = np.array([[1, 4], [1, 2], [1, 2], [3, 4], [3, 4]])
    automaton = Automaton(table, np.array([0, 0, 1, 1, 0]), ((0, 2),))
    first = (lambda batch: read_at_end(batch, jnp.zeros((1, batch.weights.shape[1]), int))) if label == "end" else None
    return automaton_task(automaton, lengths, label, train_size, eval_size, first)


def check_modulus(most: int = 1000, **moduli: int) -> None:
    """Raise ValueError naming the first argument that is not a whole number from 2 to `most`."""
    check_positive(**moduli)
    for name, modulus in moduli.items():
        if modulus < 2:
            raise ValueError(f"{name} must be at least 2, got {modulus}: there would be nothing to track")
        if modulus > most:
            raise ValueError(f"{name} must be at most {most}, got {modulus}: its automaton is a table of all states")


def _cycle(modulus: int, moves: list[int]) -> Automaton:
    """Return the automaton that adds the move of each token, modulo `modulus`."""
    states = np.arange(modulus)
    return Automaton((states[:, None] + np.array(moves)) % modulus, states, ((0, len(moves)),))
