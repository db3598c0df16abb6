"""The training state and the pure programs over it: some training steps, an evaluation."""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from rnngen.models import Model
from rnngen.tasks import Task
from rnngen.train import sharding
from rnngen.train.objective import regularized
from rnngen.train.optim import Optimizer
from rnngen.train.regularizers import Regularizer, none
from rnngen.types import Array, Batch, Key, Params, PyTree

HELD = 2**28  # bytes of an evaluation split that are kept on the device


class TrainState(NamedTuple):
    """Arrays only, so that the state is the checkpoint. step: updates made so far."""

    step: Array
    params: Params
    opt_state: PyTree
    key: Key


def init_params(model: Model, seed: Array | int) -> tuple[Params, Key]:
    """The parameters before the first step, and the run's key."""
    key_init, key_run = jax.random.split(jax.random.key(seed))
    return model.init(key_init), key_run


def init_state(model: Model, optimizer: Optimizer, seed: int, make: Callable | None = None) -> TrainState:
    """The state before the first step; everything random in a run follows from its seed.

    make: seed -> what `init_params` makes, where that is compiled already.
    """
    params, key_run = make(seed) if make else init_params(model, seed)
    return TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params), key_run)


def train_steps(
    model: Model,
    task: Task,
    optimizer: Optimizer,
    batch_size: int,
    count: int,
    mesh: Mesh | None = None,
    regularizer: Regularizer = none(),  # noqa: B008, a constant
) -> Callable:
    """`state -> (state, sums)`: `count` updates in one dispatch, sums `{metric: (sum, count)}` over them.

    Step n draws its data from the run's key and n, its noise from `fold_in(key, n)`: a run that is
    resumed anywhere is the same run. mesh: the devices that share each batch (default: all that divide it).
    regularizer: what is added to the task's loss.
    """
    objective = regularized(model, task, regularizer)
    gradient_of = sharding.loss_and_gradient(model, mesh or sharding.mesh_for(batch_size), objective)

    def one(state: TrainState, _):
        key_data, key_noise = (jax.random.fold_in(state.key, use) for use in (0, 1))
        batch = task.sample("train", key_data, state.step, batch_size)
        gradients, sums = gradient_of(state.params, batch, jax.random.fold_in(key_noise, state.step), state.step)
        updates, opt_state, clipped = optimizer.update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        norms = {"grad_norm": gradients, "clipped_grad_norm": clipped}
        sums = sums | {name: (optax.tree.norm(tree), jnp.ones(())) for name, tree in norms.items()}
        return TrainState(state.step + 1, params, opt_state, state.key), sums

    def run(state: TrainState):
        state, sums = jax.lax.scan(one, state, length=count)
        return state, jax.tree.map(lambda x: jnp.sum(x, axis=0), sums)

    return run


def evaluate(model: Model, mesh: Mesh | None = None, batch_of: Callable = lambda item: item) -> Callable:
    """`(params, items) -> {metric: (sum, count)}` over items `[n, ...]`, each of which `batch_of` makes a batch."""
    sums_of = sharding.loss_sums(model, mesh or sharding.mesh_of(1))

    def run(params: Params, items: PyTree):
        sums = jax.lax.map(lambda item: sums_of(params, batch_of(item)), items)
        return jax.tree.map(lambda x: jnp.sum(x, axis=0), sums)

    return run


def split_batches(task: Task, split: str, batch_size: int) -> tuple[PyTree, Callable]:
    """The whole of an evaluation split as (items, batch_of), see `evaluate`.

    Items are the batches, made once for all programs that look at them; or, where they take more than `HELD` bytes,
    their numbers, from which each batch is made as it is needed.
    """
    size = task.sizes[split]
    assert size is not None, "an evaluation split is finite"
    numbers = math.ceil(size / batch_size)
    make = functools.partial(sample_batch, task.sample, split, batch_size)
    shapes = jax.eval_shape(make, jnp.int32(0))
    if numbers * sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes)) > HELD:
        return jnp.arange(numbers), make
    return _made(task.sample, split, batch_size, numbers), lambda batch: batch


def first_batch(task: Task, split: str, examples: int) -> Batch:
    """The first `examples` of an evaluation split, made once."""
    return jax.tree.map(lambda x: x[0], _made(task.sample, split, examples, 1))


def sample_batch(sample: Callable, split: str, batch_size: int, number: Array) -> Batch:
    """A batch of an evaluation split. These sets ignore the key: they are the same for every run."""
    return sample(split, jax.random.key(0), number, batch_size)


@functools.lru_cache(maxsize=16)
def _made(sample: Callable, split: str, batch_size: int, count: int) -> Batch:
    make = functools.partial(sample_batch, sample, split, batch_size)
    return jax.jit(lambda numbers: jax.lax.map(make, numbers))(jnp.arange(count))


def means(sums: dict) -> dict[str, float]:
    """`{metric: (sum, count)}` -> `{metric: mean}` as Python floats, from one transfer; nan where nothing counted."""
    return each_mean(jax.tree.map(lambda x: x[None], sums))[0]


def each_mean(sums: dict) -> list[dict[str, float]]:
    """`means` of several trials, from `{metric: (sum [n], count [n])}`."""
    found = jax.device_get(sums)
    trials = range(len(next(iter(found.values()))[0]))
    return [{name: _mean(total[i], count[i]) for name, (total, count) in found.items()} for i in trials]


def _mean(total: float, count: float) -> float:
    return float(total) / float(count) if count else math.nan
