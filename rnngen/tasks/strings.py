"""Transformations of strings: reversed, written twice, sorted (Delétang et al. 2023)."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from rnngen.heads import categorical
from rnngen.tasks.losses import classification_loss
from rnngen.tasks.needs import Needs
from rnngen.tasks.sampling import split_lengths, split_sizes, synthetic_sample
from rnngen.tasks.task import Objective, Task, TaskData
from rnngen.types import Array, Batch, InputSpec, check_positive


def reverse_string(
    length: int = 40,
    *,
    min_length: int | None = 1,
    eval_length: int | tuple[int, int] | None = None,
    vocabulary: int = 2,
    train_size: int | None = None,
    eval_size: int = 1000,
) -> Task:
    """Read a string of random symbols, then write it backwards: y_i = x_{n + 1 - i}, over n blank steps.

    Loss: cross-entropy over the symbols written. Baseline: ln 2 for two symbols. `accuracy` is over symbols,
    `sequence_accuracy` over strings; solved above 99 % accuracy.

    Args:
      length: the longest string in training; sequences are twice as long.
      min_length: the shortest one; None: `length`.
      eval_length: the length in evaluation, or (shortest, longest); None: as in training.
      vocabulary: the number of different symbols.
      train_size: examples in a finite training set; None: an endless stream.
      eval_size: examples in each evaluation split.

    Returns:
      The task.

    Raises:
      ValueError: a length or size is out of range.
    """
    lengths = split_lengths(length, min_length, eval_length)
    return _string_task(lengths, vocabulary, train_size, eval_size, 1, lambda n, place: n - 1 - place)


def duplicate_string(
    length: int = 40,
    *,
    min_length: int | None = 1,
    eval_length: int | tuple[int, int] | None = None,
    vocabulary: int = 2,
    train_size: int | None = None,
    eval_size: int = 1000,
) -> Task:
    """Read a string of random symbols, then write it twice, over 2 n blank steps.

    Loss: cross-entropy over the symbols written. Baseline: ln 2 for two symbols. `accuracy` is over symbols,
    `sequence_accuracy` over strings; solved above 99 % accuracy.

    Args:
      length: the longest string in training; sequences are three times as long.
      min_length: the shortest one; None: `length`.
      eval_length: the length in evaluation, or (shortest, longest); None: as in training.
      vocabulary: the number of different symbols.
      train_size: examples in a finite training set; None: an endless stream.
      eval_size: examples in each evaluation split.

    Returns:
      The task.

    Raises:
      ValueError: a length or size is out of range.
    """
    lengths = split_lengths(length, min_length, eval_length)
    return _string_task(lengths, vocabulary, train_size, eval_size, 2, lambda n, place: place % n)


def bucket_sort(
    length: int = 40,
    *,
    min_length: int | None = 1,
    eval_length: int | tuple[int, int] | None = None,
    vocabulary: int = 5,
    train_size: int | None = None,
    eval_size: int = 1000,
) -> Task:
    """Read a string of random symbols, then write the same symbols in order, over n blank steps.

    Loss: cross-entropy over the symbols written. Baseline: ln 5 for five symbols. `accuracy` is over symbols,
    `sequence_accuracy` over strings; solved above 99 % accuracy.

    Args:
      length: the longest string in training; sequences are twice as long.
      min_length: the shortest one; None: `length`.
      eval_length: the length in evaluation, or (shortest, longest); None: as in training.
      vocabulary: the number of different symbols.
      train_size: examples in a finite training set; None: an endless stream.
      eval_size: examples in each evaluation split.

    Returns:
      The task.

    Raises:
      ValueError: a length or size is out of range.
    """
    return _string_task(split_lengths(length, min_length, eval_length), vocabulary, train_size, eval_size, 1)


def _string_task(
    lengths: dict[str, tuple[int, int]],
    vocabulary: int,
    train_size: int | None,
    eval_size: int,
    times: int,
    source: Callable[[Array, Array], Array] | None = None,
) -> Task:
    """Make the task of writing, over `times` n steps, the symbols at `source(n, place)`; None: all in order."""
    check_positive(vocabulary=vocabulary)
    sizes, head = split_sizes(train_size, eval_size), categorical(vocabulary)

    def draw(key, longest, total):
        steps, n = jnp.arange(longest), total // (1 + times)
        symbols = jax.random.randint(key, (longest,), 0, vocabulary)
        place = jnp.clip(steps - n, 0, times * n - 1)
        read = jnp.where(steps < n, symbols, vocabulary)  # the blank, which comes last where symbols are sorted
        written = jnp.sort(read)[place] if source is None else symbols[source(n, place)]
        exists = steps < total
        return Batch(read, written, (exists & (steps >= n)).astype(jnp.float32), exists)

    def needs(batch, source):
        n = jnp.sum(batch.existing(), axis=0) // (1 + times)
        place = jnp.minimum(jnp.arange(len(batch.weights) // (1 + times))[:, None], n - 1)
        return Needs(source(n, place), n + place)

    return Task(
        data=TaskData(
            sample=synthetic_sample(draw, sizes, lengths, lambda n: (1 + times) * n),
            sizes=sizes,
            lengths=lengths,
            input_spec=InputSpec(vocabulary + 1, tokens=True),
        ),
        objective=Objective(
            head=head,
            loss=classification_loss(head, sequences=True),
            baseline=lambda length: math.log(vocabulary),
            solved=lambda metrics: metrics["accuracy"] > 0.99,
        ),
        needs=None if source is None else lambda batch: needs(batch, source),
    )
