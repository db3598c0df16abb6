"""Copy memory, after Hochreiter and Schmidhuber 1997, in the forms of Arjovsky et al. 2016 and Bai et al. 2018."""

import math

import jax
import jax.numpy as jnp

from rnngen.heads import categorical
from rnngen.tasks.task import (
    Needs,
    Objective,
    Task,
    TaskData,
    classification_loss,
    mean_loss,
    split_lengths,
    split_sizes,
    synthetic_sample,
)
from rnngen.types import Batch, InputSpec, check_one_of

SYMBOLS, SPAN = 8, 10  # ten symbols out of eight
VARIANTS = ("arjovsky", "bai")


def copy_memory(
    length: int = 100,
    *,
    min_length: int | None = None,
    eval_length: int | None = None,
    variant: str = "arjovsky",
    train_size: int | None = None,
    eval_size: int = 1000,
) -> Task:
    """Read ten symbols, wait `length` steps, and repeat them: sequences of length + 20 steps.

    Loss: cross-entropy over all steps. Baseline: random symbols at the right steps, 10 ln 8 / (length + 20). `accuracy`
    is over the ten recalled symbols, `sequence_accuracy` counts sequences with all ten; solved above 99 % of these, as
    in Pascanu et al. 2013.

    Args:
      length: the largest wait in training.
      min_length: the smallest one; None: `length`.
      eval_length: the wait in evaluation; None: as in training.
      variant: "arjovsky": symbols 0-7, blanks 8, one delimiter 9 ten steps before the end; one-hot input, nine classes.
        "bai": symbols 1-8, blanks 0, eleven closing 9s; the input is one float, ten classes.
      train_size: examples in a finite training set; None: an endless stream.
      eval_size: examples in each evaluation split.

    Returns:
      The task.

    Raises:
      ValueError: the variant is unknown, or a length or size is out of range.
    """
    check_one_of(VARIANTS, variant=variant)
    lengths = split_lengths(length, min_length, eval_length)
    sizes = split_sizes(train_size, eval_size)
    padded = {split: (low + 2 * SPAN, high + 2 * SPAN) for split, (low, high) in lengths.items()}
    arjovsky = variant == "arjovsky"
    blank, lowest = (SYMBOLS, 0) if arjovsky else (0, 1)
    head = categorical(9 if arjovsky else 10)

    def draw(key, longest, total):
        steps = jnp.arange(longest)
        symbols = jax.random.randint(key, (SPAN,), lowest, lowest + SYMBOLS)
        delimiter = total - SPAN - 1
        closing = steps == delimiter if arjovsky else steps >= delimiter
        inputs = jnp.where(closing, 9, jnp.where(steps < SPAN, symbols[steps % SPAN], blank))
        recalled = symbols[jnp.clip(steps - (total - SPAN), 0, SPAN - 1)]
        return Batch(
            inputs=inputs if arjovsky else inputs[:, None].astype(jnp.float32),
            targets=jnp.where(steps >= total - SPAN, recalled, blank),
            weights=(steps < total).astype(jnp.float32),
            mask=steps < total,
        )

    return Task(
        data=TaskData(
            sample=synthetic_sample(draw, sizes, padded),
            sizes=sizes,
            input_spec=InputSpec(10, tokens=True) if arjovsky else InputSpec(1),
            lengths=lengths,
        ),
        objective=Objective(
            head=head,
            loss=_loss(head, blank),
            baseline=lambda length: SPAN * math.log(SYMBOLS) / (length + 2 * SPAN),
            solved=lambda metrics: metrics["sequence_accuracy"] > 0.99,
        ),
        needs=_needs,
    )


def _needs(batch):
    total = jnp.sum(batch.existing(), axis=0)
    symbols = jnp.broadcast_to(jnp.arange(SPAN)[:, None], (SPAN, len(total)))
    return Needs(symbols, total - SPAN + symbols)


def _loss(head, blank):
    cross_entropy = classification_loss(head)

    def loss(outputs, batch):
        batch = batch.counted()
        scalar, sums = cross_entropy(outputs, batch)
        recall = jnp.where(batch.targets != blank, batch.weights, 0.0)
        hit = jnp.argmax(outputs, axis=-1) == batch.targets
        _, sums["accuracy"] = mean_loss(hit.astype(jnp.float32), recall)
        whole = jnp.all(hit | (recall == 0), axis=0).astype(jnp.float32)
        _, sums["sequence_accuracy"] = mean_loss(whole, jnp.max(batch.weights, axis=0))
        return scalar, sums

    return loss
