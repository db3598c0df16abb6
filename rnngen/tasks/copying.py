"""Recall by content: selective copying, and induction heads."""

import math

import jax
import jax.numpy as jnp

from rnngen.heads import categorical
from rnngen.tasks.losses import classification_loss, last_step
from rnngen.tasks.needs import Needs, read_at_end, where_marked
from rnngen.tasks.sampling import split_lengths, split_sizes, synthetic_sample
from rnngen.tasks.task import Objective, Task, TaskData
from rnngen.types import Batch, InputSpec, check_positive


def selective_copying(
    length: int = 256,
    *,
    min_length: int | None = None,
    eval_length: int | tuple[int, int] | None = None,
    count: int = 16,
    vocabulary: int = 16,
    train_size: int | None = None,
    eval_size: int = 1000,
) -> Task:
    """Read `length` steps, of which some hold a random symbol and the rest are blank, then repeat the symbols in order.

    Jing et al. 2019; Gu and Dao 2023 (16 symbols of 16 in 4096 steps); the default length is that of MAD (Poli et al.
    2024). The steps of the symbols are random, so that it takes more than a fixed delay. Tokens: the symbols, then a
    blank, then the mark that asks for the next one. Loss: cross-entropy over the symbols repeated. Baseline: ln 16.
    `accuracy` is over symbols, `sequence_accuracy` over sequences; solved above 99 % accuracy.

    Args:
      length: the most steps in training, without those that repeat.
      min_length: the fewest; None: `length`.
      eval_length: the steps in evaluation, or (fewest, most); None: as in training.
      count: the number of symbols to repeat.
      vocabulary: the number of different symbols.
      train_size: examples in a finite training set; None: an endless stream.
      eval_size: examples in each evaluation split.

    Returns:
      The task.

    Raises:
      ValueError: a sequence is too short for its symbols, or a length or size is out of range.
    """
    check_positive(count=count, vocabulary=vocabulary)
    lengths, sizes = split_lengths(length, min_length, eval_length, shortest=count), split_sizes(train_size, eval_size)
    head = categorical(vocabulary)

    def draw(key, longest, total):
        key_places, key_symbols = jax.random.split(key)
        steps, asked = jnp.arange(longest), total - count
        chances = jnp.where(steps < asked, jax.random.uniform(key_places, (longest,)), -1.0)
        places = jnp.sort(jax.lax.top_k(chances, count)[1])
        symbols = jax.random.randint(key_symbols, (count,), 0, vocabulary)
        inputs = jnp.where(steps < asked, vocabulary, vocabulary + 1).at[places].set(symbols)
        targets = symbols[jnp.clip(steps - asked, 0, count - 1)]
        exists = steps < total
        return Batch(inputs, targets, (exists & (steps >= asked)).astype(jnp.float32), exists)

    def needs(batch):
        asked = jnp.sum(batch.existing(), axis=0) - count
        return Needs(where_marked(batch.inputs < vocabulary, count), asked + jnp.arange(count)[:, None])

    return Task(
        data=TaskData(
            sample=synthetic_sample(draw, sizes, lengths, lambda steps: steps + count),
            sizes=sizes,
            lengths=lengths,
            input_spec=InputSpec(vocabulary + 2, tokens=True),
        ),
        objective=Objective(
            head=head,
            loss=classification_loss(head, sequences=True),
            baseline=lambda length: math.log(vocabulary),
            solved=lambda metrics: metrics["accuracy"] > 0.99,
        ),
        needs=needs,
    )


def induction_heads(
    length: int = 256,
    *,
    min_length: int | None = None,
    eval_length: int | tuple[int, int] | None = None,
    vocabulary: int = 16,
    train_size: int | None = None,
    eval_size: int = 1000,
) -> Task:
    """Read random symbols and, somewhere among them, a mark; at the second mark, name the symbol behind the first.

    Olsson et al. 2022, in the form of Dao et al. 2023 (H3) and Gu and Dao 2023, who train on 256 steps and test up to a
    million. The first mark is at any step but the last two. Loss: cross-entropy at the last step, which holds the
    second mark. Baseline: ln 16. Solved above 99 % accuracy.

    Args:
      length: the longest sequence in training.
      min_length: the shortest one; None: `length`.
      eval_length: the length in evaluation, or (shortest, longest); None: as in training.
      vocabulary: the number of different symbols; the mark is one token more.
      train_size: examples in a finite training set; None: an endless stream.
      eval_size: examples in each evaluation split.

    Returns:
      The task.

    Raises:
      ValueError: a length or size is out of range.
    """
    check_positive(vocabulary=vocabulary)
    lengths, sizes = split_lengths(length, min_length, eval_length, shortest=3), split_sizes(train_size, eval_size)
    head = categorical(vocabulary)

    def draw(key, longest, length):
        key_place, key_symbols = jax.random.split(key)
        steps, first = jnp.arange(longest), jax.random.randint(key_place, (), 0, length - 2)
        symbols = jax.random.randint(key_symbols, (longest,), 0, vocabulary)
        inputs = jnp.where((steps == first) | (steps == length - 1), vocabulary, symbols)
        return Batch(inputs, jnp.full(longest, symbols[first + 1]), last_step(length, longest), steps < length)

    return Task(
        data=TaskData(
            sample=synthetic_sample(draw, sizes, lengths),
            sizes=sizes,
            lengths=lengths,
            input_spec=InputSpec(vocabulary + 1, tokens=True),
        ),
        objective=Objective(
            head=head,
            loss=classification_loss(head),
            baseline=lambda length: math.log(vocabulary),
            solved=lambda metrics: metrics["accuracy"] > 0.99,
        ),
        needs=lambda batch: read_at_end(batch, 1 + where_marked(batch.inputs == vocabulary, 1)),
    )
