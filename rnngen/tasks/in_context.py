"""Recall where keys come again, among noise or as motifs of several tokens, after MAD (Poli et al. 2024)."""

import itertools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.heads import categorical
from rnngen.tasks.automaton import LABELS
from rnngen.tasks.losses import classification_loss
from rnngen.tasks.recall import lengths_for
from rnngen.tasks.sampling import split_sizes, synthetic_sample
from rnngen.tasks.task import Objective, Task, TaskData
from rnngen.types import Array, Batch, InputSpec, Key, check_one_of, check_positive

MOST_MOTIFS = 10_000


def noisy_recall(
    length: int = 128,
    *,
    min_length: int | None = None,
    eval_length: int | tuple[int, int] | None = None,
    pairs: int = 8,
    values: int = 8,
    noise: float = 0.2,
    noise_tokens: int = 16,
    label: str = "each",
    train_size: int | None = None,
    eval_size: int = 1000,
) -> Task:
    """Read random keys, each followed by its value, among noise; whenever a key comes again, its value is asked for.

    A sequence gives each key one of the values. Its steps come in twos: a key, uniform, and its value; or with the
    probability of the noise two random tokens of their own. One of the keys that came before ends it. Tokens: keys,
    then values, then noise; classes are the values. Loss: cross-entropy. Baseline: the logarithm of the number of
    values. `sequence_accuracy` counts the sequences with all answers; solved above 99 % accuracy.

    Args:
      length: the longest sequence in training; of an even length, the odd one below it.
      min_length: the shortest one; None: `length`.
      eval_length: the length in evaluation, or (shortest, longest); None: as in training.
      pairs: the number of keys.
      values: the number of values.
      noise: the share of noise; 0: in-context recall without it.
      noise_tokens: the number of tokens that are noise.
      label: "each": the loss is at every key that came before; "end": at the last step alone.
      train_size: examples in a finite training set; None: an endless stream.
      eval_size: examples in each evaluation split.

    Returns:
      The task.

    Raises:
      ValueError: the noise is not in [0, 1), the label is unknown, or a length or size is out of range.
    """
    check_one_of(LABELS, label=label)
    check_positive(pairs=pairs, values=values, noise_tokens=noise_tokens)
    if not 0 <= noise < 1:
        raise ValueError(f"noise must be in [0, 1), got {noise}")
    lengths = lengths_for(1, 3, length, min_length, eval_length)
    blocks = {split: ((low - 1) // 2, (high - 1) // 2) for split, (low, high) in lengths.items()}

    def draw(key, longest, total):
        keys = jax.random.split(key, 6)
        most, count, steps = longest // 2, total // 2, jnp.arange(longest)
        shown = jax.random.randint(keys[0], (most,), 0, pairs)
        value = jax.random.randint(keys[1], (pairs,), 0, values)
        sure = jnp.arange(most) == jax.random.randint(keys[2], (), 0, count)  # one at least is no noise
        real = (sure | jax.random.bernoulli(keys[3], 1 - noise, (most,))) & (jnp.arange(most) < count)
        murmur = pairs + values + jax.random.randint(keys[4], (most, 2), 0, noise_tokens)
        tokens = jnp.where(real[:, None], jnp.stack([shown, pairs + value[shown]], axis=1), murmur)
        known, seen = came_before(shown, real, pairs)
        asked = jax.random.categorical(keys[5], jnp.where(seen, 0.0, -jnp.inf)).astype(jnp.int32)
        last = steps == total - 1
        again = (steps % 2 == 0) & jnp.append(known, False)[steps // 2] & (label == "each")
        return Batch(
            inputs=jnp.where(last, asked, jnp.append(tokens.ravel(), 0)),
            targets=value[jnp.where(last, asked, jnp.append(shown, 0)[steps // 2])],
            weights=(again | last).astype(jnp.float32),
            mask=steps < total,
        )

    steps_of = lambda count: 2 * count + 1  # noqa: E731
    vocabulary = pairs + values + noise_tokens
    return _task(draw, blocks, steps_of, vocabulary, values, split_sizes(train_size, eval_size))


def fuzzy_recall(
    length: int = 128,
    *,
    min_length: int | None = None,
    eval_length: int | tuple[int, int] | None = None,
    pairs: int = 8,
    vocabulary: int = 16,
    key_length: int = 3,
    value_length: int = 3,
    label: str = "each",
    train_size: int | None = None,
    eval_size: int = 1000,
) -> Task:
    """Recall where a key is a motif of one to three tokens, and so is its value, which is asked for token by token.

    A sequence has its pairs of motifs, each as long as a uniform draw says; keys are different and repeat no token.
    Pairs come one after another, uniformly drawn, behind blanks; where one came before, each token of its value is to
    be named at the step before it. One that came before ends the sequence. Tokens of a vocabulary of v: (v - 1)/2 for
    keys, then those for values, then the blank; classes are the tokens of values. Loss: cross-entropy. Baseline: the
    logarithm of their number. `sequence_accuracy` counts the sequences with all answers; solved above 99 % accuracy.

    Args:
      length: the longest sequence in training.
      min_length: the shortest one; None: `length`.
      eval_length: the length in evaluation, or (shortest, longest); None: as in training.
      pairs: of motifs in a sequence.
      vocabulary: v.
      key_length: the most tokens of a key.
      value_length: the most tokens of a value.
      label: "each": the loss is at every pair that came before; "end": at the last one alone.
      train_size: examples in a finite training set; None: an endless stream.
      eval_size: examples in each evaluation split.

    Returns:
      The task.

    Raises:
      ValueError: there are more pairs than motifs, a sequence is too short, or another argument is out of range.
    """
    check_one_of(LABELS, label=label)
    check_positive(pairs=pairs, vocabulary=vocabulary, key_length=key_length, value_length=value_length)
    key_tokens, block = (vocabulary - 1) // 2, key_length + value_length
    motifs, sizes, scores = key_motifs(key_tokens, key_length)
    if pairs > len(motifs):
        known = f"{len(motifs)} keys of at most {key_length} tokens in a vocabulary of {vocabulary}"
        raise ValueError(f"pairs must be at most the {known}, got {pairs}")
    lengths = lengths_for(1, 2 * block - 1, length, min_length, eval_length)
    blank = vocabulary - 1

    def draw(key, longest, total):
        key_motif, key_value, key_shown, key_asked = jax.random.split(key, 4)
        chosen = jax.lax.top_k(jnp.asarray(scores) + jax.random.gumbel(key_motif, scores.shape), pairs)[1]
        first = jnp.asarray(sizes)[chosen]
        tokens, both = _with_values(key_value, jnp.asarray(motifs)[chosen], first, value_length, key_tokens, blank)
        shown = jax.random.randint(key_shown, (longest // 2,), 0, pairs)
        ends = jnp.cumsum(both[shown])
        fits = ends <= total - block + 1  # which leaves the room of the largest question
        known, seen = came_before(shown, fits, pairs)
        asked = jax.random.categorical(key_asked, jnp.where(seen, 0.0, -jnp.inf)).astype(jnp.int32)
        used, place = jnp.max(jnp.where(fits, ends, 0)), jnp.arange(block)
        counts = jnp.append(known & (label == "each"), True)[:, None]
        inside = jnp.append(jnp.where(fits, both[shown], 0), both[asked] - 1)[:, None]
        starts = jnp.append(ends - both[shown], used) + total - used - both[asked] + 1
        shown = jnp.append(shown, asked)
        steps = jnp.where(place < inside, starts[:, None] + place, longest)  # the last of these are dropped
        answers = (place >= first[shown][:, None] - 1) & (place < both[shown][:, None] - 1)
        following = jnp.where(answers, jnp.roll(tokens, -1, axis=1)[shown] - key_tokens, 0)
        return Batch(
            inputs=jnp.full(longest, blank).at[steps].set(tokens[shown], mode="drop"),
            targets=jnp.zeros(longest, jnp.int32).at[steps].set(following, mode="drop"),
            weights=jnp.zeros(longest).at[steps].set((answers & counts).astype(jnp.float32), mode="drop"),
            mask=jnp.arange(longest) < total,
        )

    return _task(draw, lengths, lambda steps: steps, vocabulary, blank - key_tokens, split_sizes(train_size, eval_size))


def _with_values(
    key: Key, motifs: Array, sizes: Array, value_length: int, lowest: int, end: int
) -> tuple[Array, Array]:
    """Draw a value for each key, of tokens from `lowest` to `end` - 1.

    Returns the key and behind it the value, `[pairs, key_length + value_length]`, and the size of both, `[pairs]`.
    """
    key_size, key_tokens = jax.random.split(key)
    both = sizes + jax.random.randint(key_size, sizes.shape, 1, value_length + 1)
    keys = jnp.pad(motifs, ((0, 0), (0, value_length)))
    values = jax.random.randint(key_tokens, keys.shape, lowest, end)
    return jnp.where(jnp.arange(keys.shape[1]) < sizes[:, None], keys, values), both


def came_before(shown: Array, counts: Array, pairs: int) -> tuple[Array, Array]:
    """Say which of the pairs shown came before.

    Args:
      shown: numbers of pairs `[n]`, in order.
      counts: bool `[n]`, False where none is shown.
      pairs: how many there are.

    Returns:
      `[n]`, True where a pair is shown again, and `[pairs]`, True for a pair that was shown at all.
    """
    here = (shown[:, None] == jnp.arange(pairs)) & counts[:, None]
    before = jnp.cumsum(here.astype(jnp.int32), axis=0) - here.astype(jnp.int32)
    return jnp.any(here & (before > 0), axis=1), jnp.any(here, axis=0)


def key_motifs(tokens: int, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List the sequences of different tokens.

    Args:
      tokens: to choose from.
      most: the longest sequence.

    Returns:
      The sequences `[n, most]`, padded with 0, their sizes `[n]`, and the logarithm of the probability of each `[n]`
      where sizes are uniform.

    Raises:
      ValueError: there are more than 10,000 of them.
    """
    count = sum(math.perm(tokens, size) for size in range(1, most + 1))
    if count > MOST_MOTIFS:
        raise ValueError(f"vocabulary and key_length make {count:,} keys, and {MOST_MOTIFS:,} are the most")
    found = [p for size in range(1, most + 1) for p in itertools.permutations(range(tokens), size)]
    sizes = np.array([len(p) for p in found], np.int32)
    padded = np.array([[*p, *[0] * (most - len(p))] for p in found], np.int32).reshape(-1, most)
    return padded, sizes, -np.log(np.bincount(sizes)[sizes]).astype(np.float32)


def _task(
    draw: Callable, lengths: dict, steps_of: Callable, vocabulary: int, classes: int, sizes: dict[str, int | None]
) -> Task:
    head = categorical(classes)
    return Task(
        data=TaskData(
            sample=synthetic_sample(draw, sizes, lengths, steps_of),
            sizes=sizes,
            lengths={split: (steps_of(low), steps_of(high)) for split, (low, high) in lengths.items()},
            input_spec=InputSpec(vocabulary, tokens=True),
        ),
        objective=Objective(
            head=head,
            loss=classification_loss(head, sequences=True),
            baseline=lambda length: math.log(classes),
            solved=lambda metrics: metrics["accuracy"] > 0.99,
        ),
    )
