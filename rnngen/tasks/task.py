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
from rnngen.types import Array, Batch, InputSpec, Key, check_positive, shapes_of

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


class RootMean(NamedTuple):
    """The (sum, count) of a metric that is the root of a mean, such as the root mean square of errors."""

    total: Any
    weight: Any


def mean_of(metric: tuple[Any, Any]) -> Any:
    """Return the value of a metric from its (sum, count)."""
    total, count = metric
    return (total / count) ** 0.5 if isinstance(metric, RootMean) else total / count


class Objective(NamedTuple):
    """The scoring of a task.

    Attributes:
      head: the output distribution.
      loss: (outputs, batch) -> (scalar to minimise, {metric: (sum, count), or a `RootMean`}); always has "loss".
      baseline: (length) -> the loss of the best memoryless predictor.
      solved: (metrics) -> bool, the literature's threshold.
    """

    head: Head
    loss: Callable
    baseline: Callable[[float], float] = lambda length: math.nan
    solved: Callable[[dict[str, float]], bool] = lambda metrics: False


class Needs(NamedTuple):
    """The inputs that a loss cannot do without, and where it needs them: e of them in each example.

    Attributes:
      sources: `[e, *b]`, the steps of these inputs.
      reads: `[e, *b]`, the steps whose loss needs them.
    """

    sources: Array
    reads: Array


class Task(NamedTuple):
    """A task: data, the objective on them, and how its sequences are shown.

    Attributes:
      data: batches of every split.
      objective: the loss, and when it counts as solved.
      codec: {"name", "kwargs"} of `rnngen.datasets.CODECS`, to generate and show sequences; None: no generation.
      interface: {"name", "kwargs"} of `rnngen.datasets.INTERFACES`, by which a trained model is restored and used where
        the data are not; None: the task is built for that.
      needs: (batch) -> the inputs that its loss needs, where the task knows them; diagnoses then measure how well these
        are remembered, and mark their lag.
    """

    data: TaskData
    objective: Objective
    codec: dict | None = None
    interface: dict | None = None
    needs: Callable[[Batch], Needs] | None = None

    def expected_baseline(self, split: str) -> float:
        """Compute the baseline at the mean sequence length of a split.

        Args:
          split: "train", "valid" or "test".

        Returns:
          The loss of the best memoryless predictor.
        """
        return float(self.objective.baseline(sum(self.data.lengths[split]) / 2))

    def steps(self, split: str) -> int:
        """Return t, the length to which the sequences of a split are padded.

        Args:
          split: "train", "valid" or "test".

        Returns:
          The length.
        """
        return self.example(split).weights.shape[0]

    def batches(self, split: str, batch_size: int) -> int:
        """Count the batches of a finite split.

        Args:
          split: "train", "valid" or "test".
          batch_size: examples, or streams, of a batch.

        Returns:
          The number; the last batch may be incomplete.
        """
        if self.data.chunks is not None:
            return self.data.chunks(split, batch_size)
        size = self.data.sizes[split]
        assert size is not None, "an evaluation split is finite"
        return math.ceil(size / batch_size)

    def check_streams(self, setting: str, split: str, count: int) -> None:
        """Check that a split is long enough for so many streams.

        Args:
          setting: the name for the error.
          split: "train", "valid" or "test".
          count: the number of streams.

        Raises:
          ValueError: it is too short.
        """
        if self.data.chunks is not None:
            try:
                self.data.chunks(split, count)
            except ValueError as error:
                raise ValueError(f"{setting}, on the {split} split: {error}") from error

    def batch(self, split: str, key: Key, step: Array, batch_size: int) -> Batch:
        """Draw a batch; jittable for a task that samples on the device.

        Args:
          split: "train", "valid" or "test".
          key: of the run.
          step: which batch.
          batch_size: examples, or streams.

        Returns:
          The batch.
        """
        known = key if self.data.on_device else key_numbers(key)
        return self.data.finish(self.data.sample(split, known, step, batch_size))

    def example(self, split: str) -> Batch:
        """Compute the shapes of a batch of one example.

        Args:
          split: "train", "valid" or "test".

        Returns:
          A Batch of `jax.ShapeDtypeStruct`.
        """
        if not self.data.on_device:
            drawn = self.data.sample(split, key_numbers(jax.random.key(0)), 0, 1)
            return shapes_of(self.data.finish, drawn)
        return jax.eval_shape(lambda: self.batch(split, jax.random.key(0), jnp.int32(0), 1))

    def metric_names(self) -> list[str]:
        """List the metrics of the loss; only shapes are computed.

        Returns:
          The names, in alphabetical order.
        """
        batch = self.example("valid")
        outputs = jax.ShapeDtypeStruct((*batch.weights.shape, self.objective.head.num_params), jnp.float32)
        return sorted(shapes_of(self.objective.loss, outputs, batch)[1])


def key_numbers(key: Key) -> np.ndarray:
    """Convert a key to numbers, as NumPy's generators take it.

    Args:
      key: a JAX key.

    Returns:
      Its numbers.
    """
    return np.asarray(jax.random.key_data(key))


def split_lengths(length: int, min_length: int | None, eval_length: int | None, shortest: int = 1):
    """Set the lengths of each split.

    Training draws lengths uniformly from [min_length, length]; evaluation does the same, or always uses eval_length.

    Args:
      length: the longest in training.
      min_length: the shortest; None: always `length`.
      eval_length: the length in evaluation; None: as in training.
      shortest: the least length that makes sense.

    Returns:
      split -> (shortest, longest).

    Raises:
      ValueError: a length is below `shortest`, or the range is empty.
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


def synthetic_sample(draw: Callable, sizes: dict[str, int | None], lengths: dict) -> Callable:
    """Make a `TaskData.sample` of a function that draws one example.

    Endless streams draw example i of step n from `fold_in(key, n)`. Finite sets draw example i from `fold_in(constant,
    i)`, so that they are the same for every seed.

    Args:
      draw: (key, longest, length) -> Batch of one example without a batch axis, padded to longest.
      sizes: of `split_sizes`.
      lengths: of `split_lengths`.

    Returns:
      `(split, key, step, batch_size) -> Batch`.
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


def last_step(length: Array, longest: int) -> Array:
    """Weigh the last step of a sequence alone.

    Args:
      length: of the sequence.
      longest: t.

    Returns:
      Weights `[t]`: 1 at the last unmasked step, else 0.
    """
    return (jnp.arange(longest) == length - 1).astype(jnp.float32)


def read_at_end(batch: Batch, sources: Array) -> Needs:
    """Return what a loss at each example's last unmasked step needs: the inputs at steps `sources` `[e, b]`."""
    last = jnp.sum(batch.existing(), axis=0, dtype=sources.dtype) - 1
    return Needs(sources, jnp.broadcast_to(last, sources.shape))


def where_marked(marked: Array, count: int) -> Array:
    """Return the first `count` steps, in order, at which `marked` `[t, b]` is True: `[count, b]`."""
    return jnp.argsort(~marked, axis=0, stable=True)[:count]


def mean_loss(per_step: Array, weights: Array) -> tuple[Array, tuple[Array, Array]]:
    """Average the losses of all steps by their weights.

    The sum and the count give exact means over many batches. Values at steps of weight 0 do not count, but for their
    gradient the loss must use `Batch.counted`.

    Args:
      per_step: losses `[t, *b]`.
      weights: `[t, *b]`.

    Returns:
      (mean, (sum, count)); the mean is 0 if no step has weight.
    """
    total, count = jnp.sum(jnp.where(weights != 0, per_step, 0) * weights), jnp.sum(weights)
    return total / jnp.where(count > 0, count, 1), (total, count)


def nll_loss(head: Head, more_metrics: Callable = lambda nll, batch: {}) -> Callable:
    """Make the loss of a head: its negative log-likelihood in nats per step.

    Args:
      head: the output distribution.
      more_metrics: (negative log-likelihood of each step `[t, *b]`, batch) -> {metric: (sum, count)}.

    Returns:
      `(outputs, batch) -> (scalar, {metric: (sum, count)})`.
    """

    def loss(outputs, batch):
        batch = batch.counted()
        nll = -head.log_prob(outputs, batch.targets)
        scalar, sums = mean_loss(nll, batch.weights)
        return scalar, {"loss": sums} | more_metrics(nll, batch)

    return loss


def classification_loss(head: Head, correct: Callable | None = None) -> Callable:
    """Make the cross-entropy loss in nats, with `accuracy` over the weighted steps.

    Args:
      head: a categorical one.
      correct: (outputs, targets) -> bool `[t, *b]`; default: the most probable class is the target.

    Returns:
      `(outputs, batch) -> (scalar, {metric: (sum, count)})`.
    """
    correct = correct or (lambda outputs, targets: jnp.argmax(outputs, axis=-1) == targets)

    def loss(outputs, batch):
        batch = batch.counted()
        scalar, nll = mean_loss(-head.log_prob(outputs, batch.targets), batch.weights)
        _, hits = mean_loss(correct(outputs, batch.targets).astype(jnp.float32), batch.weights)
        return scalar, {"loss": nll, "accuracy": hits}

    return loss
