"""The temporal-order problem: recall the order of two early symbols (Hochreiter and Schmidhuber 1997)."""

import math

import jax
import jax.numpy as jnp

from rnngen.heads import categorical
from rnngen.tasks.losses import classification_loss, last_step
from rnngen.tasks.needs import read_at_end, where_marked
from rnngen.tasks.sampling import split_lengths, split_sizes, synthetic_sample
from rnngen.tasks.task import Objective, Task, TaskData
from rnngen.types import Batch, InputSpec, check_one_of

VARIANTS = ("pascanu", "hochreiter")


def temporal_order(
    length: int = 100,
    *,
    min_length: int | None = None,
    eval_length: int | None = None,
    variant: str = "pascanu",
    train_size: int | None = None,
    eval_size: int = 1000,
) -> Task:
    """Name the order of two informative symbols, each X or Y, among distractors: XX, XY, YX or YY.

    Loss: cross-entropy at the last step. Baseline: ln 4. `accuracy` counts sequences whose right class is the most
    probable ("pascanu"), or whose every output is within 0.3 of its target ("hochreiter"). Solved above 99 %.

    Args:
      length: the largest length in training; all lengths are at least 10.
      min_length: the smallest one; None: `length`.
      eval_length: the length in evaluation; None: as in training.
      variant: "pascanu" (Pascanu et al. 2013): 6 symbols (2 informative, 4 distractors); in sequences of length L, the
        positions are uniform in [L/10, 2L/10) and [5L/10, 6L/10). "hochreiter" (1997, task 6a): 8 symbols (also a start
        and a trigger); positions 10-20 and 50-60 for sequences of 100-110 steps (`length=110, min_length=100`), in the
        same proportion of the shortest length otherwise.
      train_size: examples in a finite training set; None: an endless stream.
      eval_size: examples in each evaluation split.

    Returns:
      The task.

    Raises:
      ValueError: the variant is unknown, or a length or size is out of range.
    """
    check_one_of(VARIANTS, variant=variant)
    lengths = split_lengths(length, min_length, eval_length, shortest=10)
    sizes = split_sizes(train_size, eval_size)
    pascanu, head = variant == "pascanu", categorical(4)

    def example(key, longest, length, base):
        key_kind, key_noise, key_first, key_second = jax.random.split(key, 4)
        steps = jnp.arange(longest)
        first, second = _places(pascanu, key_first, key_second, base)
        kinds = jax.random.randint(key_kind, (2,), 0, 2)
        inputs = jax.random.randint(key_noise, (longest,), 2, 6)
        inputs = jnp.where(steps == first, kinds[0], jnp.where(steps == second, kinds[1], inputs))
        if not pascanu:
            inputs = jnp.where(steps == 0, 6, jnp.where(steps == length - 1, 7, inputs))
        label = 2 * kinds[0] + kinds[1]
        return Batch(inputs, jnp.full(longest, label), last_step(length, longest), steps < length)

    def sample(split, key, step, batch_size):
        def draw(key, longest, length):
            return example(key, longest, length, length if pascanu else lengths[split][0])

        return synthetic_sample(draw, sizes, lengths)(split, key, step, batch_size)

    return Task(
        data=TaskData(
            sample=sample,
            sizes=sizes,
            input_spec=InputSpec(6 if pascanu else 8, tokens=True),
            lengths=lengths,
        ),
        objective=Objective(
            head=head,
            loss=classification_loss(head, None if pascanu else _within_three_tenths),
            baseline=lambda length: math.log(4),
            solved=lambda metrics: metrics["accuracy"] > 0.99,
        ),
        needs=lambda batch: read_at_end(batch, where_marked(batch.inputs < 2, 2)),
    )


def _places(pascanu, key_first, key_second, base):
    """Draw the positions of the two informative symbols; only Hochreiter's form includes the upper ends."""
    end = 0 if pascanu else 1
    first = jax.random.randint(key_first, (), base // 10, 2 * base // 10 + end)
    return first, jax.random.randint(key_second, (), 5 * base // 10, 6 * base // 10 + end)


def _within_three_tenths(outputs, targets):
    error = jnp.abs(jax.nn.softmax(outputs) - jax.nn.one_hot(targets, 4, dtype=outputs.dtype))
    return jnp.all(error < 0.3, axis=-1)
