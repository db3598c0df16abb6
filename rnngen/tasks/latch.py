"""The latch, or two-sequence, problem (Bengio, Simard and Frasconi 1994)."""

import math

import jax
import jax.numpy as jnp

from rnngen.heads import categorical
from rnngen.tasks.losses import classification_loss, last_step
from rnngen.tasks.needs import read_at_end
from rnngen.tasks.sampling import split_lengths, split_sizes, synthetic_sample
from rnngen.tasks.task import Objective, Task, TaskData
from rnngen.types import Batch, InputSpec, check_positive


def latch(
    length: int = 100,
    *,
    min_length: int | None = None,
    eval_length: int | None = None,
    signal_steps: int = 3,
    noise_variance: float = 0.2,
    train_size: int | None = None,
    eval_size: int = 1000,
) -> Task:
    """Hold one bit: the first `signal_steps` inputs are all +1 or all -1, the rest is Gaussian noise.

    The form and its numbers are those of Hochreiter and Schmidhuber 1997, task 3a, where the signal is fixed; Bengio et
    al. let the network learn it. Inputs `[t, b, 1]`. Loss: cross-entropy of the two classes at the last step. Baseline:
    ln 2. Solved above 99 % accuracy.

    Args:
      length: the largest length in training.
      min_length: the smallest one; None: `length`.
      eval_length: the length in evaluation; None: as in training.
      signal_steps: steps of the signal.
      noise_variance: of the other inputs.
      train_size: examples in a finite training set; None: an endless stream.
      eval_size: examples in each evaluation split.

    Returns:
      The task.

    Raises:
      ValueError: a length, size or variance is out of range.
    """
    check_positive(signal_steps=signal_steps)
    if noise_variance < 0:
        raise ValueError(f"noise_variance must not be negative, got {noise_variance}")
    lengths = split_lengths(length, min_length, eval_length, shortest=signal_steps + 1)
    sizes = split_sizes(train_size, eval_size)
    head = categorical(2)

    def draw(key, longest, length):
        key_label, key_noise = jax.random.split(key)
        steps = jnp.arange(longest)
        label = jax.random.randint(key_label, (), 0, 2)
        noise = math.sqrt(noise_variance) * jax.random.normal(key_noise, (longest,))
        values = jnp.where(steps < signal_steps, 2.0 * label.astype(jnp.float32) - 1.0, noise)
        return Batch(values[:, None], jnp.full(longest, label), last_step(length, longest), steps < length)

    return Task(
        data=TaskData(
            sample=synthetic_sample(draw, sizes, lengths),
            sizes=sizes,
            input_spec=InputSpec(1),
            lengths=lengths,
        ),
        objective=Objective(
            head=head,
            loss=classification_loss(head),
            baseline=lambda length: math.log(2),
            solved=lambda metrics: metrics["accuracy"] > 0.99,
        ),
        # The last step of the signal is enough.
        needs=lambda batch: read_at_end(batch, jnp.full((1, batch.weights.shape[1]), signal_steps - 1)),
    )
