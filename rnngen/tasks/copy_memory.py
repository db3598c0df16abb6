"""Copy memory, after Hochreiter and Schmidhuber 1997, in the forms of Arjovsky et al. 2016 and Bai et al. 2018."""

import math

import jax
import jax.numpy as jnp

from rnngen.heads import categorical
from rnngen.tasks.losses import classification_loss, mean_loss, whole_sequences
from rnngen.tasks.needs import Needs
from rnngen.tasks.sampling import split_lengths, split_sizes, synthetic_sample
from rnngen.tasks.task import Objective, Task, TaskData
from rnngen.types import Batch, InputSpec, check_one_of, check_positive

VARIANTS = ("arjovsky", "bai")


def copy_memory(
    length: int = 100,
    *,
    min_length: int | None = None,
    eval_length: int | tuple[int, int] | None = None,
    variant: str = "arjovsky",
    vocabulary: int = 8,
    count: int = 10,
    train_size: int | None = None,
    eval_size: int = 1000,
) -> Task:
    """Read ten symbols of eight, wait `length` steps, and repeat them: sequences of length + 20 steps.

    Loss: cross-entropy over all steps. Baseline: random symbols at the right steps, 10 ln 8 / (length + 20). `accuracy`
    is over the recalled symbols, `sequence_accuracy` counts sequences with all of them; solved above 99 % of these, as
    in Pascanu et al. 2013.

    Args:
      length: the largest wait in training.
      min_length: the smallest one; None: `length`.
      eval_length: the wait in evaluation, or (shortest, longest); None: as in training.
      variant: "arjovsky": symbols 0-7, blanks 8, one delimiter 9 ten steps before the end; one-hot input, nine classes.
        "bai": symbols 1-8, blanks 0, eleven closing 9s; the input is one float, ten classes.
      vocabulary: the number of different symbols.
      count: the number of symbols to repeat.
      train_size: examples in a finite training set; None: an endless stream.
      eval_size: examples in each evaluation split.

    Returns:
      The task.

    Raises:
      ValueError: the variant is unknown, or a length or size is out of range.
    """
    check_one_of(VARIANTS, variant=variant)
    check_positive(vocabulary=vocabulary, count=count)
    lengths = split_lengths(length, min_length, eval_length)
    sizes = split_sizes(train_size, eval_size)
    arjovsky = variant == "arjovsky"
    blank, lowest = (vocabulary, 0) if arjovsky else (0, 1)
    head = categorical(vocabulary + 1 if arjovsky else vocabulary + 2)

    def draw(key, longest, total):
        steps = jnp.arange(longest)
        symbols = jax.random.randint(key, (count,), lowest, lowest + vocabulary)
        delimiter = total - count - 1
        closing = steps == delimiter if arjovsky else steps >= delimiter
        inputs = jnp.where(closing, vocabulary + 1, jnp.where(steps < count, symbols[steps % count], blank))
        recalled = symbols[jnp.clip(steps - (total - count), 0, count - 1)]
        return Batch(
            inputs=inputs if arjovsky else inputs[:, None].astype(jnp.float32),
            targets=jnp.where(steps >= total - count, recalled, blank),
            weights=(steps < total).astype(jnp.float32),
            mask=steps < total,
        )

    return Task(
        data=TaskData(
            sample=synthetic_sample(draw, sizes, lengths, lambda wait: wait + 2 * count),
            sizes=sizes,
            input_spec=InputSpec(vocabulary + 2, tokens=True) if arjovsky else InputSpec(1),
            lengths=lengths,
        ),
        objective=Objective(
            head=head,
            loss=_loss(head, blank),
            baseline=lambda length: count * math.log(vocabulary) / (length + 2 * count),
            solved=lambda metrics: metrics["sequence_accuracy"] > 0.99,
        ),
        needs=lambda batch: _needs(batch, count),
    )


def _needs(batch, count):
    total = jnp.sum(batch.existing(), axis=0)
    symbols = jnp.broadcast_to(jnp.arange(count)[:, None], (count, len(total)))
    return Needs(symbols, total - count + symbols)


def _loss(head, blank):
    cross_entropy = classification_loss(head)

    def loss(outputs, batch):
        batch = batch.counted()
        scalar, sums = cross_entropy(outputs, batch)
        recall = jnp.where(batch.targets != blank, batch.weights, 0.0)
        hit = jnp.argmax(outputs, axis=-1) == batch.targets
        _, sums["accuracy"] = mean_loss(hit.astype(jnp.float32), recall)
        return scalar, sums | {"sequence_accuracy": whole_sequences(hit, recall)}

    return loss
