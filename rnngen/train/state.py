"""The training state and the pure programs over it: some training steps, an evaluation."""

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
from rnngen.types import Array, Key, Params, PyTree


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


def evaluate(model: Model, task: Task, split: str, batch_size: int, mesh: Mesh | None = None) -> Callable:
    """`params -> sums` over the whole of an evaluation split, `{metric: (sum, count)}`."""
    size = task.sizes[split]
    assert size is not None, "an evaluation split is finite"
    batches = math.ceil(size / batch_size)
    sums_of = sharding.loss_sums(model, mesh or sharding.mesh_for(batch_size))

    def one(params, index):
        # Evaluation sets ignore the key: they are the same for every run.
        return sums_of(params, task.sample(split, jax.random.key(0), index, batch_size))

    def run(params: Params):
        sums = jax.lax.map(lambda index: one(params, index), jnp.arange(batches))
        return jax.tree.map(lambda x: jnp.sum(x, axis=0), sums)

    return run


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
