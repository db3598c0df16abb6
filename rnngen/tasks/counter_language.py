"""The counter languages a^n b^n and a^n b^n c^n (Gers and Schmidhuber 2001)."""

import math

import jax.numpy as jnp

from rnngen.tasks.next_symbols import next_symbols
from rnngen.tasks.sampling import split_lengths, split_sizes, synthetic_sample
from rnngen.tasks.task import Task, TaskData
from rnngen.types import Batch, InputSpec


def counter_language(
    length: int = 100,
    *,
    min_length: int | None = 3,
    eval_length: int | tuple[int, int] | None = None,
    letters: int = 2,
    train_size: int | None = None,
    eval_size: int = 1000,
) -> Task:
    """Count: after each symbol of a^n b^n, or a^n b^n c^n, name the symbols that may follow.

    After an a these are a and b, then it is certain: b until there are n of them, then c, or the end of the string.
    n is uniform. Suzgun et al. 2019 train on n up to 50 and test on 51 to 100: `eval_length=(102, 200)`. Loss and
    accuracy: see `rnngen.tasks.next_symbols`. Baseline: the entropy of these bits given the current symbol. Solved
    above 99 % of the sequences.

    Args:
      length: the longest string in training, in symbols; of a length that n does not divide, the multiple below it.
      min_length: the shortest one; None: `length`.
      eval_length: the length in evaluation, or (shortest, longest); None: as in training.
      letters: 2: a^n b^n; 3: a^n b^n c^n.
      train_size: examples in a finite training set; None: an endless stream.
      eval_size: examples in each evaluation split.

    Returns:
      The task.

    Raises:
      ValueError: letters is neither 2 nor 3, or a length or size is out of range.
    """
    if letters not in (2, 3):
        raise ValueError(f"letters must be 2 or 3, got {letters}")
    sizes = split_sizes(train_size, eval_size)
    lengths = split_lengths(length, min_length, eval_length, shortest=letters)
    counts = {split: (low // letters, high // letters) for split, (low, high) in lengths.items()}

    def draw(key, longest, length):
        steps, n = jnp.arange(longest), length // letters
        letter = jnp.minimum(steps // n, letters - 1)
        last_one = (steps + 1) % n == 0
        following = jnp.where(last_one & (letter > 0), letter + 1, letter)[:, None]
        outputs = jnp.arange(letters + 1)
        targets = jnp.where(letter[:, None] == 0, outputs < 2, outputs == following)
        exists = steps < length
        return Batch(letter, targets.astype(jnp.float32), exists.astype(jnp.float32), exists)

    def baseline(length):
        share = letters / length  # of the last b among all b, also for a mean length
        return 0.0 if share >= 1 else -2 * (letters - 1) / letters * (_xlogx(share) + _xlogx(1 - share))

    return Task(
        data=TaskData(
            sample=synthetic_sample(draw, sizes, counts, lambda n: n * letters),
            sizes=sizes,
            lengths={split: (low * letters, high * letters) for split, (low, high) in counts.items()},
            input_spec=InputSpec(letters, tokens=True),
        ),
        objective=next_symbols(letters, baseline),
    )


def _xlogx(share: float) -> float:
    return share * math.log(share)
