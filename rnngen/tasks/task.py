"""The task contract, and the common parts of synthetic tasks: sampling by a draw of one example, and losses.

A task's `sample` is a pure function of (split, key, step, batch size), which covers endless streams, finite training
sets in epochs, full batch and fixed evaluation sets.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.heads import Head
from rnngen.types import Array, Batch, InputSpec, Key, check_positive

SPLITS = ("train", "valid", "test")


class TaskData(NamedTuple):
    """The data of a task.

    Attributes:
      sample: (split, key, step, batch_size) -> Batch; static shapes. Evaluation splits ignore the key: step n is their
        n-th batch, with weights 0 beyond the end.
      sizes: split -> number of examples, None where the stream is endless.
      lengths: split -> (shortest, longest) sequence, in the units of `Objective.baseline`.
      input_spec: the inputs.
      on_device: sample runs inside the jitted step. Else it runs in NumPy, takes the key as numbers, and `finish` makes
        a Batch of its result on the device.
      finish: (what sample returns) -> Batch.
      chunks: (split, batch_size) -> batches in an epoch, where consecutive ones are chunks of the same streams and the
        carry goes from one to the next (truncated back-propagation through time); None: examples are whole.
      warmup: (evaluation split, batch_size) -> number of chunks, numbered below 0, that come before the first of these
        to warm the carry; they have no weight.
      facts: metadata for the record of a run.
    """

    sample: Callable[[str, Any, Any, int], Any]
    sizes: dict[str, int | None]
    lengths: dict[str, tuple[int, int]]
    input_spec: InputSpec
    on_device: bool = True
    finish: Callable[[Any], Batch] = lambda batch: batch
    chunks: Callable[[str, int], int] | None = None
    warmup: Callable[[str, int], int] = lambda split, batch_size: 0
    facts: Mapping[str, Any] = MappingProxyType({})


class Objective(NamedTuple):
    """The scoring of a task.

    Attributes:
      head: the output distribution.
      loss: (outputs, batch) -> (scalar to minimise, {metric: (sum, count)}); always has "loss".
      baseline: (length) -> the loss of the best memoryless predictor.
      solved: (metrics) -> bool, the literature's threshold.
    """

    head: Head
    loss: Callable
    baseline: Callable[[float], float] = lambda length: math.nan
    solved: Callable[[dict[str, float]], bool] = lambda metrics: False


class Task(NamedTuple):
    """A task: data, the objective on them, and how its sequences are shown.

    Attributes:
      data: batches of every split.
      objective: the loss, and when it counts as solved.
      codec: {"name", "kwargs"} of `rnngen.datasets.CODECS`, to generate and show sequences; None: no generation.
    """

    data: TaskData
    objective: Objective
    codec: dict | None = None

    def expected_baseline(self, split: str) -> float:
        """Return the baseline at the mean sequence length of a split."""
        return float(self.objective.baseline(sum(self.data.lengths[split]) / 2))

    def steps(self, split: str) -> int:
        """Return t, the length to which the sequences of a split are padded."""
        return self.example(split).weights.shape[0]

    def batches(self, split: str, batch_size: int) -> int:
        """Return the number of batches of a finite split."""
        if self.data.chunks is not None:
            return self.data.chunks(split, batch_size)
        size = self.data.sizes[split]
        assert size is not None, "an evaluation split is finite"
        return math.ceil(size / batch_size)

    def check_streams(self, setting: str, split: str, count: int) -> None:
        """Raise ValueError naming the setting where a split is too short for this many streams."""
        if self.data.chunks is not None:
            try:
                self.data.chunks(split, count)
            except ValueError as error:
                raise ValueError(f"{setting}, on the {split} split: {error}") from error

    def batch(self, split: str, key: Key, step: Array, batch_size: int) -> Batch:
        """Return a batch; jittable for a task that samples on the device."""
        known = key if self.data.on_device else key_numbers(key)
        return self.data.finish(self.data.sample(split, known, step, batch_size))

    def example(self, split: str) -> Batch:
        """Return the shapes of a batch of one example."""
        if not self.data.on_device:
            drawn = self.data.sample(split, key_numbers(jax.random.key(0)), 0, 1)
            return jax.eval_shape(self.data.finish, drawn)
        return jax.eval_shape(lambda: self.batch(split, jax.random.key(0), jnp.int32(0), 1))

    def metric_names(self) -> list[str]:
        """Return the names of the metrics of `loss`; only shapes are computed."""
        batch = self.example("valid")
        outputs = jax.ShapeDtypeStruct((*batch.weights.shape, self.objective.head.num_params), jnp.float32)
        return sorted(jax.eval_shape(self.objective.loss, outputs, batch)[1])


def key_numbers(key: Key) -> np.ndarray:
    """Return a key as numbers, as NumPy's generators take it."""
    return np.asarray(jax.random.key_data(key))


def split_lengths(length: int, min_length: int | None, eval_length: int | None, shortest: int = 1):
    """Return split -> (shortest, longest).

    Training draws lengths uniformly from [min_length, length] (min_length None: always `length`); evaluation does the
    same, or always uses eval_length. Raises ValueError where a length is below `shortest` or the range is empty.
    """
    check_positive(length=length)
    low = length if min_length is None else min_length
    for name, value in {"length": length, "min_length": low, "eval_length": eval_length or length}.items():
        if value < shortest:
            raise ValueError(f"{name} must be at least {shortest}, got {value}")
    if low > length:
        raise ValueError(f"min_length must not exceed length, got {low} > {length}")
    evaluation = (low, length) if eval_length is None else (eval_length, eval_length)
    return {"train": (low, length), "valid": evaluation, "test": evaluation}


def split_sizes(train_size: int | None, eval_size: int) -> dict[str, int | None]:
    """Return split -> size. Raises ValueError where a size is not positive."""
    check_positive(eval_size=eval_size, **({} if train_size is None else {"train_size": train_size}))
    return {"train": train_size, "valid": eval_size, "test": eval_size}


def synthetic_sample(draw: Callable, sizes: dict[str, int | None], lengths: dict) -> Callable:
    """Make a `TaskData.sample` of `draw(key, longest, length)`, one example without a batch axis, padded to longest.

    Endless streams draw example i of step n from `fold_in(key, n)`. Finite sets draw example i from `fold_in(constant,
    i)`, so that they are the same for every seed.
    """

    def sample(split, key, step, batch_size):
        low, high = lengths[split]

        def example(key):
            key_length, key_draw = jax.random.split(key)
            if low == high:  # nothing to draw, which would take a while to compile
                return draw(key_draw, high, jnp.int32(high))
            return draw(key_draw, high, jax.random.randint(key_length, (), low, high + 1))

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
    """Return the examples of a finite set in batch `step`: indices `[b]` and 0/1 weights `[b]`.

    Training goes through the set in epochs, each in a new order, and drops an incomplete last batch; a batch of the
    whole set keeps its order. Evaluation goes through it once, in order. xp: NumPy for tasks that sample on the host,
    whose keys are numbers.
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
    """Return the order of `count` examples in an epoch; NumPy's and JAX's differ."""
    if xp is np:
        return np.random.default_rng([*key.tolist(), int(epoch)]).permutation(count)
    return jax.random.permutation(jax.random.fold_in(key, epoch), count)


def last_step(length: Array, longest: int) -> Array:
    """Return weights `[t]`: 1 at the last unmasked step, else 0."""
    return (jnp.arange(longest) == length - 1).astype(jnp.float32)


def mean_loss(per_step: Array, weights: Array) -> tuple[Array, tuple[Array, Array]]:
    """Return the weighted mean of `[t, *b]`, and (sum, count), for exact means over many batches.

    The mean is 0 if no step has weight. Values at steps of weight 0 do not count, but for their gradient the loss must
    use `Batch.counted`.
    """
    total, count = jnp.sum(jnp.where(weights != 0, per_step, 0) * weights), jnp.sum(weights)
    return total / jnp.where(count > 0, count, 1), (total, count)


def classification_loss(head: Head, correct: Callable | None = None) -> Callable:
    """Return the cross-entropy loss in nats, with `accuracy` over the weighted steps.

    correct: (outputs, targets) -> bool `[t, *b]`; default: the most probable class is the target.
    """
    correct = correct or (lambda outputs, targets: jnp.argmax(outputs, axis=-1) == targets)

    def loss(outputs, batch):
        batch = batch.counted()
        scalar, nll = mean_loss(-head.log_prob(outputs, batch.targets), batch.weights)
        _, hits = mean_loss(correct(outputs, batch.targets).astype(jnp.float32), batch.weights)
        return scalar, {"loss": nll, "accuracy": hits}

    return loss
