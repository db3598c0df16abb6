"""Prefetching of the batches that the host draws, while the device is busy with the ones before."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.tasks.sampling import key_numbers
from rnngen.tasks.task import Task
from rnngen.training.experiment import Experiment
from rnngen.types import Batch, PyTree, shapes_of


class Prefetcher:
    """The drawn batches of each dispatch, `[trials, steps, ...]`; the next are drawn in a thread.

    keys: the data key of each trial, as numbers. A task that draws on the device is fed nothing.
    """

    def __init__(self, experiment: Experiment, keys: Sequence[np.ndarray], first_step: int):
        self.draw = lambda step: _drawn(experiment, keys, step)
        self.train, self.fed = experiment.train, not experiment.task.data.on_device
        self.pool = ThreadPoolExecutor(1, "feed") if self.fed else None
        self.ahead: tuple[int, Future] | None = None
        self._begin(first_step)

    def _begin(self, step: int) -> None:
        if self.pool and step < self.train.steps:
            self.ahead = step, self.pool.submit(self.draw, step)

    def take(self, step: int) -> PyTree:
        """Return the batches of the dispatch that begins at `step`."""
        if self.ahead is None:
            return None
        ready, future = self.ahead
        drawn = future.result() if ready == step else self.draw(step)
        self._begin(step + self.train.length(step))
        return drawn

    def close(self) -> None:
        """Stop drawing."""
        if self.pool:
            self.pool.shutdown(cancel_futures=True)


def feed_shapes(experiment: Experiment, trials: int, steps: int) -> PyTree:
    """Return the shapes of what a dispatch of so many steps is fed; None where the task draws on the device."""
    if experiment.task.data.on_device:
        return None
    one = _one(experiment.task, key_numbers(jax.random.key(0)), 0, experiment.train.examples(experiment.task))
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct((trials, steps, *x.shape), x.dtype), one)


def batch_shapes(experiment: Experiment) -> Batch:
    """Return the shapes of a training batch."""
    task = experiment.task
    drawn = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[2:], x.dtype), feed_shapes(experiment, 1, 1))
    if task.data.on_device:
        size = experiment.train.examples(task)
        drawn = jax.eval_shape(lambda key: task.data.sample("train", key, jnp.int32(0), size), jax.random.key(0))
    return shapes_of(task.data.finish, drawn)


def _drawn(experiment: Experiment, keys: Sequence[np.ndarray], first: int) -> PyTree:
    task, size = experiment.task, experiment.train.examples(experiment.task)
    steps = range(first, first + experiment.train.length(first))
    trials = [_stacked([_one(task, key, step, size) for step in steps]) for key in keys]
    return _stacked(trials)


def _one(task: Task, key: np.ndarray, step: int, size: int) -> PyTree:
    return jax.tree.map(np.asarray, task.data.sample("train", key, step, size))


def _stacked(trees: list) -> PyTree:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)
