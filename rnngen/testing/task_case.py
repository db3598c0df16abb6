"""The setting of a task's checks: a task, its batches, and random outputs in place of a model's."""

import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rnngen.tasks import Task
from rnngen.tasks.sampling import SPLITS, key_numbers
from rnngen.testing.case import quick_jit
from rnngen.types import Array, Batch

SIZES = (32, 8, 3, 1)  # of a batch; the largest that every split can fill
EVALUATIONS = ("valid", "test")
FIT_BATCHES, FIT_STEPS, TEST_BATCHES = 16, 300, 64  # of constant outputs


class TaskCase:
    """A task and batches of it, as NumPy arrays; programs are compiled once for all checks."""

    def __init__(self, task: Task):
        self.task, self.size = task, next((size for size in SIZES if _fills(task, size)), 1)
        self.traced = 0  # number of traces of `finish`, for a task that samples on the host
        self._finish = quick_jit(self._counted_finish)
        self._programs: dict[str, Any] = {}

    def draw(self, split: str, step: int = 0, seed: int = 0) -> Batch:
        """Draw batch `step` of a split."""
        key = jax.random.key(seed)
        if self.task.data.on_device:
            program = self._programs.setdefault(split, quick_jit(functools.partial(self._on_device, split)))
            batch = program(key, jnp.int32(step))
        else:
            batch = self._finish(self.task.data.sample(split, key_numbers(key), step, self.size))
        return jax.tree.map(np.asarray, batch)

    def batches(self, split: str, most: int | None = None) -> Iterator[Batch]:
        """Draw a finite split once, or `most` batches spread evenly over it."""
        count = self.count(split)
        for step in range(count) if most is None or count <= most else np.linspace(0, count - 1, most).astype(int):
            yield self.draw(split, int(step))

    def count(self, split: str) -> int:
        """Return the number of batches of a finite split: in training, of an epoch."""
        size = self.task.data.sizes[split]
        if split == "train" and self.task.data.chunks is None and size is not None:
            return size // self.size
        return self.task.batches(split, self.size)

    def outputs(self, batch: Batch, seed: int = 0) -> np.ndarray:
        """Draw standard normal outputs `[t, b, num_params]`."""
        shape = (*batch.weights.shape, self.task.objective.head.num_params)
        return np.random.RandomState(seed).normal(size=shape).astype(np.float32)

    @functools.cached_property
    def loss(self) -> Any:
        """Return `task.objective.loss`, compiled."""
        return quick_jit(self.task.objective.loss)

    @functools.cached_property
    def gradient(self) -> Any:
        """Return the gradient of the loss with respect to the outputs, compiled."""
        return quick_jit(jax.grad(lambda outputs, batch: self.task.objective.loss(outputs, batch)[0]))

    @functools.cached_property
    def best_constant(self) -> tuple[float, float]:
        """Fit constant outputs to part of the train split; return their test loss and its standard error."""
        constant = self._fit_constant()
        score = quick_jit(
            jax.vmap(lambda batch: self._constant_loss(constant, jax.tree.map(lambda x: x[:, None], batch)), in_axes=1)
        )
        sums, counts = np.concatenate([np.array(score(batch)) for batch in self.batches("test", TEST_BATCHES)], axis=1)
        mean = sums.sum() / counts.sum()
        return float(mean), float(np.sqrt(np.sum((sums - mean * counts) ** 2)) / counts.sum())

    def _fit_constant(self) -> Array:
        train = join([self.draw("train", step) for step in range(FIT_BATCHES)])
        optimizer = optax.adam(0.03)

        def mean(constant):
            total, count = self._constant_loss(constant, train)
            return total / count

        def update(step, at):
            constant, state = at
            gradient = jax.grad(mean)(constant)
            with jax.numpy_dtype_promotion("standard"):  # as optax needs it
                change, state = optimizer.update(gradient, state)
            return optax.apply_updates(constant, change), state

        start = jnp.zeros(self.task.objective.head.num_params)
        return jax.jit(lambda at: jax.lax.fori_loop(0, FIT_STEPS, update, at))((start, optimizer.init(start)))[0]

    def _constant_loss(self, constant: Array, batch: Batch) -> tuple[Array, Array]:
        """Return (sum, count) of the loss for the same outputs `[num_params]` at every step."""
        outputs = jnp.broadcast_to(constant, (*batch.weights.shape, constant.size))
        return self.task.objective.loss(outputs, batch)[1]["loss"]

    def _on_device(self, split: str, key: Any, step: Array) -> Batch:
        return self.task.data.finish(self.task.data.sample(split, key, step, self.size))

    def _counted_finish(self, drawn: Any) -> Batch:
        self.traced += 1
        return self.task.data.finish(drawn)


def _fills(task: Task, size: int) -> bool:
    try:
        for split in SPLITS:
            task.check_streams("a batch", split, size)
    except ValueError:
        return False
    train = task.data.sizes["train"]
    return train is None or size <= train


def join(batches: list[Batch]) -> Batch:
    """Join batches along the batch axis."""
    return jax.tree.map(lambda *leaves: np.concatenate(leaves, axis=1), *batches)
