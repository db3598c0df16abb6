"""The task contract: data, the objective on them, and how its sequences are shown.

A task's `sample` is a pure function of (split, key, step, batch size), which covers endless streams, finite training
sets in epochs, full batch and fixed evaluation sets.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnngen.heads import Head
from rnngen.tasks.losses import RootMean, classification_loss, last_step, mean_loss, mean_of, nll_loss  # noqa: F401
from rnngen.tasks.needs import Needs, read_at_end, where_marked  # noqa: F401
from rnngen.tasks.sampling import (  # noqa: F401
    SPLITS,
    epoch_order,
    finite_indices,
    key_numbers,
    split_lengths,
    split_sizes,
    synthetic_sample,
)
from rnngen.types import Array, Batch, InputSpec, Key, shapes_of


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
      loss: (outputs, batch) -> (scalar to minimise, {metric: (sum, count), or a `RootMean`}); always has "loss".
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
      interface: {"name", "kwargs"} of `rnngen.datasets.INTERFACES`, by which a trained model is restored and used where
        the data are not; None: the task is built for that.
      needs: (batch) -> the inputs that its loss needs, where the task knows them; diagnoses then measure how well these
        are remembered, and mark their lag.
      remake: (arguments to change) -> the same task with others, where a config made it.
    """

    data: TaskData
    objective: Objective
    codec: dict | None = None
    interface: dict | None = None
    needs: Callable[[Batch], Needs] | None = None
    remake: Callable[..., "Task"] | None = None

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
