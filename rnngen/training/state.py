"""The training state and the pure programs over it: some training steps, an evaluation."""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from rnngen.models import Model
from rnngen.registry import LRUCache
from rnngen.tasks import Task
from rnngen.tasks.task import key_numbers
from rnngen.training import sharding
from rnngen.training.objective import regularized
from rnngen.training.optim import Optimizer
from rnngen.training.regularizers import Regularizer, none
from rnngen.types import Array, Batch, Carry, Key, Params, PyTree

HELD = 2**28  # bytes of an evaluation split that are kept on the device


class TrainState(NamedTuple):
    """Arrays only, so that the state is the checkpoint.

    step: updates made so far. carry: where a task's streams were left; None: its examples are whole. best: the
    parameters that did best on the valid split so far; None where the last are taken. backoff: by what updates are
    multiplied, see `TrainConfig.on_divergence`; None: by nothing.
    """

    step: Array
    params: Params
    opt_state: PyTree
    key: Key
    carry: Carry = None
    best: Params = None
    backoff: Array | None = None

    @property
    def chosen(self) -> Params:
        """The parameters that the run is judged by."""
        return self.params if self.best is None else self.best


def init_params(model: Model, seed: Array | int) -> tuple[Params, Key]:
    """The parameters before the first step, and the run's key."""
    key_init, key_run = jax.random.split(jax.random.key(seed))
    return model.init(key_init), key_run


def init_state(
    model: Model,
    optimizer: Optimizer,
    seed: int,
    make: Callable | None = None,
    streams: int | None = None,
    select_best: bool = False,
    may_back_off: bool = False,
) -> TrainState:
    """The state before the first step; everything random in a run follows from its seed.

    make: seed -> what `init_params` makes, where that is compiled already. streams: of how many the state keeps the
    carry. select_best: whether it keeps the best parameters. may_back_off: whether it has a `backoff`.
    """
    params, key_run = make(seed) if make else init_params(model, seed)
    carry = None if streams is None else model.init_carry(params, (streams,))
    best = jax.tree.map(jnp.copy, params) if select_best else None
    backoff = jnp.ones(()) if may_back_off else None
    return TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params), key_run, carry, best, backoff)


def train_steps(
    model: Model,
    task: Task,
    optimizer: Optimizer,
    batch_size: int,
    count: int,
    mesh: Mesh | None = None,
    regularizer: Regularizer = none(),  # noqa: B008, a constant
    skip: bool = False,
) -> Callable:
    """`(state, fed) -> (state, sums)`: `count` updates in one dispatch, sums `{metric: (sum, count)}` over them.

    fed: what the task's `sample` gave for each of them, stacked, where it runs on the host; else None.
    Step n draws its data from the run's key and n, its noise from `fold_in(key, n)`: a run that is
    resumed anywhere is the same run. mesh: the devices that share each batch (default: all that divide it).
    regularizer: what is added to the task's loss. skip: pass over updates that would bring a number that is none; the
    metric "skipped" says how many of them.
    """
    objective = regularized(model, task, regularizer)
    gradient_of = sharding.loss_and_gradient(model, mesh or sharding.mesh_for(batch_size), objective)

    def one(state: TrainState, fed: PyTree):
        key_noise = jax.random.fold_in(state.key, 1)
        drawn = task.data.sample("train", data_key(state.key), state.step, batch_size) if task.data.on_device else fed
        gradients, sums, carry = gradient_of(
            state.params, task.data.finish(drawn), jax.random.fold_in(key_noise, state.step), state.step, state.carry
        )
        updates, opt_state, clipped = optimizer.update(gradients, state.opt_state, state.params)
        if state.backoff is not None:
            updates = jax.tree.map(functools.partial(jnp.multiply, state.backoff), updates)
        params = optax.apply_updates(state.params, updates)
        norms = {"grad_norm": gradients, "clipped_grad_norm": clipped}
        sums = sums | {name: (optax.tree.norm(tree), jnp.ones(())) for name, tree in norms.items()}
        carry = carry if task.data.chunks else None
        after = state._replace(step=state.step + 1, params=params, opt_state=opt_state, carry=carry)
        return _unless_broken(state, after, sums) if skip else (after, sums)

    def run(state: TrainState, fed: PyTree = None):
        state, sums = jax.lax.scan(one, state, fed, length=count)
        sums = jax.tree.map(lambda x: jnp.sum(x, axis=0), sums) | {"param_norm": _once(optax.tree.norm(state.params))}
        return state, sums if state.backoff is None else sums | {"backoff": _once(state.backoff)}

    return run


def _once(value: Array) -> tuple[Array, Array]:
    return value, jnp.ones(())


def _unless_broken(before: TrainState, after: TrainState, sums: dict) -> tuple[TrainState, dict]:
    """What came of a step, or, where there is a number in it that is none, the state as it was and nothing counted."""
    changing = lambda state: (state.params, state.opt_state, state.carry)  # noqa: E731
    numbers = [x for x in jax.tree.leaves((changing(after), sums["loss"])) if jnp.issubdtype(x.dtype, jnp.inexact)]
    good = jnp.array([jnp.isfinite(x).all() for x in numbers]).all()
    choose = lambda new, old: jnp.where(good, new, old)  # noqa: E731
    params, opt_state, carry = jax.tree.map(choose, changing(after), changing(before))
    sums = {name: jax.tree.map(lambda x: jnp.where(good, x, jnp.zeros_like(x)), pair) for name, pair in sums.items()}
    sums["skipped"] = _once(1 - good.astype(jnp.float32))
    return after._replace(params=params, opt_state=opt_state, carry=carry), sums


def data_key(key: Key) -> Key:
    """What the training data of a run are drawn by."""
    return jax.random.fold_in(key, 0)


def evaluate(
    model: Model, mesh: Mesh | None = None, batch_of: Callable = lambda item: item, streams: int | None = None
) -> Callable:
    """`(params, items) -> {metric: (sum, count)}` over items `[n, ...]`, each of which `batch_of` makes a batch.

    streams: the items are consecutive chunks of so many streams, and the carry goes from one to the next.
    """
    sums_of = sharding.loss_sums(model, mesh or sharding.mesh_of(1))

    def run(params: Params, items: PyTree):
        def one(carry: PyTree, item: PyTree):
            sums, last = sums_of(params, batch_of(item), carry)
            return (None if streams is None else last), sums

        first = None if streams is None else model.init_carry(params, (streams,))
        _, sums = jax.lax.scan(one, first, items)
        return jax.tree.map(lambda x: jnp.sum(x, axis=0), sums)

    return run


def split_batches(task: Task, split: str, batch_size: int) -> tuple[PyTree, Callable]:
    """The whole of an evaluation split as (items, batch_of), see `evaluate`.

    Items are what the task's `sample` gives, made once for all programs that look at it; or, where that takes more than
    `HELD` bytes and is made on the device, the numbers of batches, from which each is made as it is needed.
    """
    numbers = range(-task.data.warmup(split, batch_size), task.batches(split, batch_size))
    if task.data.on_device:
        make = functools.partial(sample_batch, task.data.sample, split, batch_size)
        shapes = jax.eval_shape(make, jnp.int32(0))
        if len(numbers) * sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes)) > HELD:
            return jnp.asarray(numbers), lambda number: task.data.finish(make(number))
    return _made(task, split, batch_size, numbers), task.data.finish


def first_batch(task: Task, split: str, examples: int) -> Batch:
    """The first `examples` of an evaluation split, made once; of streams, the first chunk of so many."""
    return jax.tree.map(lambda x: x[0], _finished(task, split, examples))


def sample_batch(sample: Callable, split: str, batch_size: int, number: Array) -> PyTree:
    """A batch of an evaluation split. These sets ignore the key: they are the same for every run."""
    return sample(split, jax.random.key(0), number, batch_size)


# LRUCache by the task's `sample`, which is as good as the task, and can be looked up.
_MADE = LRUCache(16)


def _made(task: Task, split: str, batch_size: int, numbers: range) -> PyTree:
    """Batches of a split by their numbers, stacked, as `sample` gives them."""

    def make():
        if task.data.on_device:
            one = functools.partial(sample_batch, task.data.sample, split, batch_size)
            return jax.jit(lambda numbers: jax.lax.map(one, numbers))(jnp.asarray(numbers))
        drawn = [task.data.sample(split, key_numbers(jax.random.key(0)), n, batch_size) for n in numbers]
        return jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *drawn)

    return _MADE.get((task.data.sample, split, batch_size, numbers), make)


def _finished(task: Task, split: str, batch_size: int) -> PyTree:
    make = lambda: jax.jit(jax.vmap(task.data.finish))(_made(task, split, batch_size, range(1)))  # noqa: E731
    return _MADE.get((task.data.sample, split, batch_size, "finished"), make)


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
