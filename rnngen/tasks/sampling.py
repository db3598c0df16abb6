"""Batches of a task: the lengths and sizes of its splits, synthetic examples, and the order of a finite set."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.types import Key, check_positive

SPLITS = ("train", "valid", "test")


def key_numbers(key: Key) -> np.ndarray:
    """Convert a key to numbers, as NumPy's generators take it.

    Args:
      key: a JAX key.

    Returns:
      Its numbers.
    """
    return np.asarray(jax.random.key_data(key))


def split_lengths(
    length: int, min_length: int | None, eval_length: int | Sequence[int] | None, shortest: int = 1
) -> dict[str, tuple[int, int]]:
    """Set the lengths of each split.

    Training draws lengths uniformly from [min_length, length]; evaluation does the same, or draws from the range of
    eval_length, or always uses eval_length.

    Args:
      length: the longest in training.
      min_length: the shortest; None: always `length`.
      eval_length: the length in evaluation, or (shortest, longest); None: as in training.
      shortest: the least length that makes sense.

    Returns:
      split -> (shortest, longest).

    Raises:
      ValueError: a length is below `shortest`, or a range is empty.
    """
    check_positive(length=length)
    low = length if min_length is None else min_length
    evaluation = (low, length) if eval_length is None else _ends(eval_length)
    for name, value in {"length": length, "min_length": low, "eval_length": evaluation[0]}.items():
        if value < shortest:
            raise ValueError(f"{name} must be at least {shortest}, got {value}")
    if low > length:
        raise ValueError(f"min_length must not exceed length, got {low} > {length}")
    return {"train": (low, length), "valid": evaluation, "test": evaluation}


def _ends(eval_length: int | Sequence[int]) -> tuple[int, int]:
    """Return the shortest and the longest of evaluation."""
    ends = tuple(eval_length) if isinstance(eval_length, Sequence) else (eval_length, eval_length)
    for end in ends:
        check_positive(eval_length=end)
    if len(ends) != 2 or ends[0] > ends[1]:
        raise ValueError(f"eval_length must be a length, or (shortest, longest), got {eval_length!r}")
    return ends


def split_sizes(train_size: int | None, eval_size: int) -> dict[str, int | None]:
    """Set the sizes of each split.

    Args:
      train_size: examples for training; None: an endless stream.
      eval_size: examples in each evaluation split.

    Returns:
      split -> size.

    Raises:
      ValueError: a size is not positive.
    """
    check_positive(eval_size=eval_size, **({} if train_size is None else {"train_size": train_size}))
    return {"train": train_size, "valid": eval_size, "test": eval_size}


def synthetic_sample(
    draw: Callable, sizes: dict[str, int | None], lengths: dict, steps: Callable = lambda length: length
) -> Callable:
    """Make a `TaskData.sample` of a function that draws one example.

    Endless streams draw example i of step n from `fold_in(key, n)`. Finite sets draw example i from `fold_in(constant,
    i)`, so that they are the same for every seed.

    Args:
      draw: (key, longest, length) -> Batch of one example without a batch axis, padded to longest.
      sizes: of `split_sizes`.
      lengths: of `split_lengths`.
      steps: (length) -> the steps of such a sequence, which `draw` gets; default: as many.

    Returns:
      `(split, key, step, batch_size) -> Batch`.
    """

    def sample(split, key, step, batch_size):
        low, high = lengths[split]

        def example(key):
            key_length, key_draw = jax.random.split(key)
            if low == high:  # nothing to draw, which would take a while to compile
                return draw(key_draw, steps(high), jnp.int32(steps(high)))
            return draw(key_draw, steps(high), steps(jax.random.randint(key_length, (), low, high + 1)))

        size, real = sizes[split], None
        if size is None:
            keys = jax.random.split(jax.random.fold_in(key, step), batch_size)
        else:
            index, real = finite_indices(split, key, step, batch_size, size)
            base = jax.random.fold_in(jax.random.key(1), SPLITS.index(split))
            keys = jax.vmap(lambda i: jax.random.fold_in(base, i))(index)
        batch = jax.vmap(example, out_axes=1)(keys)
        if low == high:
            batch = batch._replace(mask=None)
        return batch if real is None else batch._replace(weights=batch.weights * real)

    return sample


def finite_indices(split: str, key: Any, step: Any, batch_size: int, size: int, xp: Any = jnp) -> tuple[Any, Any]:
    """Choose the examples of a finite set in a batch.

    Training goes through the set in epochs, each in a new order, and drops an incomplete last batch; a batch of the
    whole set keeps its order. Evaluation goes through it once, in order.

    Args:
      split: "train", "valid" or "test".
      key: of the run, or its numbers.
      step: which batch.
      batch_size: examples of a batch.
      size: of the set.
      xp: NumPy for tasks that sample on the host, whose keys are numbers.

    Returns:
      Indices `[b]` and 0/1 weights `[b]`.

    Raises:
      ValueError: a batch is larger than the training set.
    """
    if split != "train":
        index = step * batch_size + xp.arange(batch_size)
        return xp.minimum(index, size - 1), (index < size).astype(np.float32)
    if batch_size > size:
        raise ValueError(f"batch_size must be at most the {size} training examples, got {batch_size}")
    if batch_size == size:
        return xp.arange(size), xp.ones(size, np.float32)
    batches = size // batch_size
    order = epoch_order(xp, key, step // batches, size)
    return order[(step % batches) * batch_size + xp.arange(batch_size)], xp.ones(batch_size, np.float32)


def epoch_order(xp: Any, key: Any, epoch: Any, count: int) -> Any:
    """Draw the order of the examples in an epoch.

    Args:
      xp: NumPy or JAX's NumPy; their orders differ.
      key: of the run, or its numbers.
      epoch: which one.
      count: number of examples.

    Returns:
      The indices `[count]`.
    """
    if xp is np:
        return np.random.default_rng([*key.tolist(), int(epoch)]).permutation(count)
    return jax.random.permutation(jax.random.fold_in(key, epoch), count)
