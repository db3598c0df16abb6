"""The adding problem (Hochreiter and Schmidhuber 1997, in the two forms that later papers use)."""

import jax
import jax.numpy as jnp

from rnngen.heads import gaussian
from rnngen.tasks.losses import last_step, mean_loss
from rnngen.tasks.needs import read_at_end, where_marked
from rnngen.tasks.sampling import split_lengths, split_sizes, synthetic_sample
from rnngen.tasks.task import Objective, Task, TaskData
from rnngen.types import Batch, InputSpec, check_one_of

VARIANTS = ("halves", "anywhere")
TOLERANCE = 0.08  # Hochreiter's 0.04 was for targets scaled to [0, 1]; these are in [0, 2]


def adding(
    length: int = 100,
    *,
    min_length: int | None = None,
    eval_length: int | None = None,
    variant: str = "halves",
    train_size: int | None = None,
    eval_size: int = 1000,
) -> Task:
    """Sum the two marked values of a sequence. Inputs `[t, b, 2]`: uniform in [0, 1), and the marks.

    Loss: squared error at the last step. Baseline: always answering 1, Var(U + U) = 1/6. `accuracy` counts errors below
    4 % of the targets' range, the criterion of Hochreiter and Schmidhuber 1997; solved above 99 %, as in Pascanu et al.
    2013.

    Args:
      length: the largest length in training.
      min_length: the smallest one; None: `length`.
      eval_length: the length in evaluation; None: as in training.
      variant: "halves" marks one step in each half (Arjovsky et al. 2016), "anywhere" any two (Bai et al. 2018).
      train_size: examples in a finite training set; None: an endless stream.
      eval_size: examples in each evaluation split.

    Returns:
      The task.

    Raises:
      ValueError: the variant is unknown, or a length or size is out of range.
    """
    check_one_of(VARIANTS, variant=variant)
    lengths = split_lengths(length, min_length, eval_length, shortest=2)
    sizes = split_sizes(train_size, eval_size)

    def draw(key, longest, length):
        key_value, key_first, key_second = jax.random.split(key, 3)
        steps = jnp.arange(longest)
        values = jnp.where(steps < length, jax.random.uniform(key_value, (longest,)), 0.0)
        first, second = _marks(variant, key_first, key_second, length)
        marks = ((steps == first) | (steps == second)).astype(values.dtype)
        total = jnp.sum(values * marks)
        return Batch(
            inputs=jnp.stack([values, marks], axis=-1),
            targets=jnp.full((longest, 1), total),
            weights=last_step(length, longest),
            mask=steps < length,
        )

    return Task(
        data=TaskData(
            sample=synthetic_sample(draw, sizes, lengths),
            sizes=sizes,
            input_spec=InputSpec(2),
            lengths=lengths,
        ),
        objective=Objective(
            head=gaussian(1),
            loss=_loss,
            baseline=lambda length: 1 / 6,
            solved=lambda metrics: metrics["accuracy"] > 0.99,
        ),
        needs=lambda batch: read_at_end(batch, where_marked(batch.inputs[..., 1] > 0, 2)),
    )


def _marks(variant, key_first, key_second, length):
    if variant == "halves":
        first = jax.random.randint(key_first, (), 0, length // 2)
        return first, jax.random.randint(key_second, (), length // 2, length)
    first = jax.random.randint(key_first, (), 0, length)
    second = jax.random.randint(key_second, (), 0, length - 1)
    return first, jnp.where(second >= first, second + 1, second)


def _loss(outputs, batch):
    error = outputs - batch.counted().targets
    scalar, squared = mean_loss(jnp.sum(error**2, axis=-1), batch.weights)
    _, hits = mean_loss((jnp.abs(error[..., 0]) < TOLERANCE).astype(jnp.float32), batch.weights)
    return scalar, {"loss": squared, "accuracy": hits}
