"""Delayed XOR: at every step, combine two bits of the past (Engelken 2023 trains on such a task)."""

import math

import jax
import jax.numpy as jnp

from rnngen.heads import categorical
from rnngen.tasks.losses import classification_loss
from rnngen.tasks.needs import read_at_end
from rnngen.tasks.sampling import split_lengths, split_sizes, synthetic_sample
from rnngen.tasks.task import Objective, Task, TaskData
from rnngen.types import Batch, InputSpec, check_positive


def delayed_xor(
    length: int = 100,
    *,
    min_length: int | None = None,
    eval_length: int | tuple[int, int] | None = None,
    delay: int = 10,
    train_size: int | None = None,
    eval_size: int = 1000,
) -> Task:
    """Of random bits x, say y_t = x_{t-d} xor x_{t-d/2}, at every step that has both. Inputs: tokens `[t, b]`.

    The lag is the delay at every step, whatever the length: a stream that many learning rules are tried on. One of the
    two bits alone says nothing, so there is no credit for half of the way. Loss: cross-entropy. Baseline: ln 2. Solved
    above 99 % of the steps.

    Args:
      length: the longest sequence in training.
      min_length: the shortest one; None: `length`.
      eval_length: the length in evaluation, or (shortest, longest); None: as in training.
      delay: d, in steps; the nearer bit is d // 2 steps back.
      train_size: examples in a finite training set; None: an endless stream.
      eval_size: examples in each evaluation split.

    Returns:
      The task.

    Raises:
      ValueError: the delay is not positive, or a length or size is out of range; all lengths are longer than the delay.
    """
    check_positive(delay=delay)
    lengths = split_lengths(length, min_length, eval_length, shortest=delay + 1)
    sizes, head = split_sizes(train_size, eval_size), categorical(2)

    def draw(key, longest, length):
        steps = jnp.arange(longest)
        bits = jax.random.randint(key, (longest,), 0, 2)
        targets = jnp.roll(bits, delay) ^ jnp.roll(bits, delay // 2)
        counted = (steps >= delay) & (steps < length)
        return Batch(bits, jnp.where(counted, targets, 0), counted.astype(jnp.float32), steps < length)

    def needs(batch):
        last = jnp.sum(batch.existing(), axis=0) - 1
        return read_at_end(batch, jnp.stack([last - delay, last - delay // 2]))

    return Task(
        data=TaskData(synthetic_sample(draw, sizes, lengths), sizes, lengths, InputSpec(2, tokens=True)),
        objective=Objective(
            head=head,
            loss=classification_loss(head),
            baseline=lambda length: math.log(2),
            solved=lambda metrics: metrics["accuracy"] > 0.99,
        ),
        needs=needs,
    )
