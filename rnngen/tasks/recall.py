"""Associative recall: keys with their values, then one of the keys, or all of them, and the value is asked for."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from rnngen.heads import categorical
from rnngen.tasks.losses import classification_loss, last_step
from rnngen.tasks.needs import Needs, where_marked
from rnngen.tasks.sampling import split_lengths, split_sizes, synthetic_sample
from rnngen.tasks.task import Objective, Task, TaskData
from rnngen.types import Array, Batch, InputSpec, Key, check_positive


def associative_recall(
    length: int = 40,
    *,
    min_length: int | None = None,
    eval_length: int | tuple[int, int] | None = None,
    pairs: int = 8,
    vocabulary: int = 32,
    train_size: int | None = None,
    eval_size: int = 1000,
) -> Task:
    """Read pairs of a key and its value, then blanks, then one of the keys: what was its value?

    Graves et al. 2014; Ba et al. 2016. The keys of a sequence are different, and so are its values. Tokens of a
    vocabulary of v: blank 0, keys 1 to v/2 - 1, values from v/2 on; classes are the values. Loss: cross-entropy at the
    last step. Baseline: the logarithm of the number of values. Solved above 99 % accuracy.

    Args:
      length: the longest sequence in training; at least two steps a pair, and the query.
      min_length: the shortest one; None: `length`.
      eval_length: the length in evaluation, or (shortest, longest); None: as in training.
      pairs: of a key and a value.
      vocabulary: v.
      train_size: examples in a finite training set; None: an endless stream.
      eval_size: examples in each evaluation split.

    Returns:
      The task.

    Raises:
      ValueError: there are more pairs than keys, a sequence is too short for its pairs, or a size is out of range.
    """
    check_pairs(pairs, vocabulary)
    lengths = lengths_for(pairs, 2 * pairs + 1, length, min_length, eval_length)

    def draw(key, longest, length):
        key_pairs, key_query = jax.random.split(key)
        keys, values = draw_pairs(key_pairs, pairs, vocabulary)
        asked, steps = jax.random.randint(key_query, (), 0, pairs), jnp.arange(longest)
        inputs = jnp.zeros(longest, jnp.int32).at[: 2 * pairs].set(jnp.stack([keys, values], axis=1).ravel())
        inputs = jnp.where(steps == length - 1, keys[asked], inputs)
        targets = jnp.full(longest, values[asked] - vocabulary // 2)
        return Batch(inputs, targets, last_step(length, longest), steps < length)

    return _recall_task(draw, lengths, pairs, 1, vocabulary, split_sizes(train_size, eval_size))


def mqar(
    length: int = 64,
    *,
    min_length: int | None = None,
    eval_length: int | tuple[int, int] | None = None,
    pairs: int = 8,
    vocabulary: int = 8192,
    power: float = 0.01,
    noise: bool = True,
    train_size: int | None = None,
    eval_size: int = 1000,
) -> Task:
    """Multi-query associative recall: pairs of a key and its value, then every key once, and its value is asked for.

    Arora et al. 2023 (Zoology). Behind the pairs, key number j stands at twice a place drawn without replacement, place
    i (from 1) with probability proportional to i^(power - 1): most queries come soon, some late. Tokens as in
    `associative_recall`. Loss: cross-entropy at the steps of the queries, whose classes are the values. Baseline: the
    logarithm of their number. `accuracy` is over queries, `sequence_accuracy` over sequences; solved above 99 %
    accuracy.

    Args:
      length: the longest sequence in training; at least four steps a pair.
      min_length: the shortest one; None: `length`.
      eval_length: the length in evaluation, or (shortest, longest); None: as in training.
      pairs: of a key and a value.
      vocabulary: v.
      power: of the distances of the queries; 1: uniform.
      noise: other steps are random tokens, else blanks.
      train_size: examples in a finite training set; None: an endless stream.
      eval_size: examples in each evaluation split.

    Returns:
      The task.

    Raises:
      ValueError: there are more pairs than keys, a sequence is too short for its pairs, or a size is out of range.
    """
    check_pairs(pairs, vocabulary)
    lengths = lengths_for(pairs, 4 * pairs, length, min_length, eval_length)

    def draw(key, longest, length):
        key_pairs, key_places, key_noise = jax.random.split(key, 3)
        keys, values = draw_pairs(key_pairs, pairs, vocabulary)
        asked = 2 * (pairs + draw_places(key_places, pairs, longest // 2 - pairs, length // 2 - pairs, power))
        blanks = jax.random.randint(key_noise, (longest,), 0, vocabulary) if noise else jnp.zeros(longest, jnp.int32)
        inputs = blanks.at[: 2 * pairs].set(jnp.stack([keys, values], axis=1).ravel()).at[asked].set(keys)
        targets = jnp.zeros(longest, jnp.int32).at[asked].set(values - vocabulary // 2)
        weights = jnp.zeros(longest).at[asked].set(1.0)
        return Batch(inputs, targets, weights, jnp.arange(longest) < length)

    return _recall_task(draw, lengths, pairs, pairs, vocabulary, split_sizes(train_size, eval_size))


def check_pairs(pairs: int, vocabulary: int) -> None:
    """Raise ValueError where there are more pairs than the vocabulary has keys."""
    check_positive(pairs=pairs, vocabulary=vocabulary)
    keys = max(vocabulary // 2 - 1, 0)
    if pairs > keys:
        raise ValueError(f"pairs must be at most the {keys} keys of a vocabulary of {vocabulary}, got {pairs}")


def lengths_for(
    pairs: int, least: int, length: int, min_length: int | None, eval_length: int | tuple[int, int] | None
) -> dict[str, tuple[int, int]]:
    """Set the lengths of each split as `split_lengths` does; raise ValueError where one is too short for its pairs."""
    try:
        return split_lengths(length, min_length, eval_length, shortest=least)
    except ValueError as error:
        raise ValueError(f"{error}" + (f" with {pairs} pairs" if "at least" in str(error) else "")) from None


def draw_pairs(key: Key, pairs: int, vocabulary: int) -> tuple[Array, Array]:
    """Draw different keys and different values.

    Args:
      key: a key.
      pairs: of a key and a value.
      vocabulary: v.

    Returns:
      The tokens of the keys and of their values, each `[pairs]`.
    """
    half = vocabulary // 2
    key_keys, key_values = jax.random.split(key)
    keys, values = ((key_keys, half - 1), (key_values, vocabulary - half))
    return 1 + _some(*keys, pairs), half + _some(*values, pairs)


def _some(key: Key, size: int, count: int) -> Array:
    """Draw `count` different numbers below `size`."""
    return jax.lax.top_k(jax.random.uniform(key, (size,)), count)[1]


def draw_places(key: Key, count: int, most: int, size: Array, power: float) -> Array:
    """Draw different places below `size`, one after another, place i with weight (i + 1)^(power - 1).

    The largest sums of a logarithm and Gumbel noise are such a draw.

    Args:
      key: a key.
      count: of the places.
      most: the largest size.
      size: at least `count`.
      power: of the weights.

    Returns:
      The places `[count]`.
    """
    numbers = jnp.arange(1, most + 1)
    scores = (power - 1) * jnp.log(numbers.astype(jnp.float32)) + jax.random.gumbel(key, (most,))
    return jax.lax.top_k(jnp.where(numbers <= size, scores, -jnp.inf), count)[1]


def _recall_task(
    draw: Callable, lengths: dict, pairs: int, queries: int, vocabulary: int, sizes: dict[str, int | None]
) -> Task:
    """Make the task; its loss needs the step of each value that is asked for."""
    head = categorical(vocabulary - vocabulary // 2)

    def needs(batch):
        reads = where_marked(batch.weights > 0, queries)
        asked = jnp.take_along_axis(batch.inputs, reads, axis=0)
        keys = batch.inputs[: 2 * pairs : 2]
        return Needs(1 + 2 * jnp.argmax(keys[None] == asked[:, None], axis=1), reads)

    return Task(
        data=TaskData(
            sample=synthetic_sample(draw, sizes, lengths),
            sizes=sizes,
            lengths=lengths,
            input_spec=InputSpec(vocabulary, tokens=True),
        ),
        objective=Objective(
            head=head,
            loss=classification_loss(head, sequences=queries > 1),
            baseline=lambda length: math.log(head.num_params),
            solved=lambda metrics: metrics["accuracy"] > 0.99,
        ),
        needs=needs,
    )
