"""The training state and the pure functions of it: training steps and evaluation."""

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
from rnngen.rules import Rule, bptt
from rnngen.tasks import Task
from rnngen.tasks.losses import RootMean, mean_of
from rnngen.tasks.sampling import key_numbers
from rnngen.training import sharding
from rnngen.training.learning import online_update, rule_gradient
from rnngen.training.objective import regularized
from rnngen.training.optim import Optimizer
from rnngen.training.regularizers import Regularizer, none
from rnngen.types import Array, Batch, Carry, Key, Params, PyTree

HELD = 2**28  # largest evaluation split, in bytes, that stays on the device


class TrainState(NamedTuple):
    """The state of a training, arrays only: exactly the content of a checkpoint.

    Attributes:
      step: updates made so far.
      params, opt_state: of the model and the optimiser.
      key: the run's key, from which all noise is drawn.
      carry: the carry after the previous chunk of a task's streams; None for whole examples.
      best: the best parameters on the valid split so far; None where the run is judged by the last.
      backoff: the factor on updates, see `TrainConfig.on_divergence`; None without one.
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
        """Return the parameters that the run is judged by."""
        return self.params if self.best is None else self.best


def init_params(model: Model, seed: Array | int) -> tuple[Params, Key]:
    """Return the parameters before the first step, and the run's key."""
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
    """Make the state before the first step; everything random in a run follows from its seed.

    Args:
      model: to be trained.
      optimizer: of the run.
      seed: of the run.
      make: `init_params` of the model, compiled.
      streams: the number of streams whose carry the state holds.
      select_best: hold the best parameters.
      may_back_off: hold a `backoff`.

    Returns:
      The state.
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
    rule: Rule = bptt(),  # noqa: B008, a constant
) -> Callable:
    """Return `(state, fed) -> (state, sums)`: `count` updates in one dispatch, sums `{metric: (sum, count)}` over them.

    fed: the stacked results of the task's `sample` for these updates, where it runs on the host; else None. Step n
    draws its data from the run's key and n, its noise from `fold_in(key, n)`, so a resumed run is the same run.

    Args:
      count: the number of updates.
      mesh: the devices that share each batch; default: all that divide it.
      regularizer: the term added to the task's loss.
      skip: skip updates whose result is not finite, and count them in the metric "skipped".
      rule: the gradient is found by; online, all updates within a batch's sequences count as one.
    """
    update = train_update(model, task, optimizer, mesh or sharding.mesh_for(batch_size), regularizer, skip, rule)

    def one(state: TrainState, fed: PyTree):
        key_noise = jax.random.fold_in(state.key, 1)
        drawn = task.data.sample("train", data_key(state.key), state.step, batch_size) if task.data.on_device else fed
        return update(state, task.data.finish(drawn), jax.random.fold_in(key_noise, state.step))

    def run(state: TrainState, fed: PyTree = None):
        state, sums = _loop(one, state, fed) if count == 1 else jax.lax.scan(one, state, fed, length=count)
        sums = jax.tree.map(lambda x: jnp.sum(x, axis=0), sums) | {"param_norm": _once(optax.tree.norm(state.params))}
        return state, sums if state.backoff is None else sums | {"backoff": _once(state.backoff)}

    return run


def train_update(
    model: Model, task: Task, optimizer: Optimizer, mesh: Mesh, regularizer: Regularizer, skip: bool, rule: Rule
) -> Callable:
    """Return `(state, batch, key) -> (state, sums)`: one update, with the key of its noise; see `train_steps`."""
    update = functools.partial(_updated, optimizer)
    if rule.update_every:
        updates_of = online_update(model, task, rule, mesh, update)
    elif rule.plain:
        gradient_of = sharding.loss_and_gradient(model, mesh, regularized(model, task, regularizer))
    else:
        gradient_of = rule_gradient(model, task, rule, mesh)

    def one(state: TrainState, batch: Batch, key: Key):
        if rule.update_every:
            params, opt_state, sums = updates_of((state.params, state.opt_state, state.backoff), batch, key)
            carry = None
        else:
            gradients, sums, carry = gradient_of(state.params, batch, key, state.step, state.carry)
            params, opt_state, norms = update(state.params, state.opt_state, state.backoff, gradients)
            sums = sums | norms
            carry = carry if task.data.chunks else None
        after = state._replace(step=state.step + 1, params=params, opt_state=opt_state, carry=carry)
        return _unless_broken(state, after, sums) if skip else (after, sums)

    return one


def _loop(one: Callable, state: TrainState, fed: PyTree) -> tuple[TrainState, dict]:
    """Return what a scan of a single step returns, in a loop of which XLA cannot know that it has a single trip.

    It would dissolve such a loop and fuse the step otherwise, with other last bits than where the step is one of many.
    """
    fed = jax.tree.map(lambda x: x[0], fed)
    shapes = jax.eval_shape(one, state, fed)[1]
    nothing = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)
    end = state.step + 1
    state, sums = jax.lax.while_loop(lambda now: now[0].step < end, lambda now: one(now[0], fed), (state, nothing))
    return state, jax.tree.map(lambda x: x[None], sums)


def _updated(optimizer: Optimizer, params: Params, opt_state: PyTree, backoff: Array | None, gradients: Params):
    """Return (params, opt_state, sums of the gradient's norms) after an update."""
    updates, opt_state, clipped = optimizer.update(gradients, opt_state, params)
    if backoff is not None:
        updates = jax.tree.map(functools.partial(jnp.multiply, backoff), updates)
    norms = {"grad_norm": gradients, "clipped_grad_norm": clipped}
    sums = {name: (optax.tree.norm(tree), jnp.ones(())) for name, tree in norms.items()}
    return optax.apply_updates(params, updates), opt_state, sums


def _once(value: Array) -> tuple[Array, Array]:
    return value, jnp.ones(())


def _unless_broken(before: TrainState, after: TrainState, sums: dict) -> tuple[TrainState, dict]:
    """Return the result of a step or, where it is not finite, the state before it and sums without it."""
    changing = lambda state: (state.params, state.opt_state, state.carry)  # noqa: E731
    numbers = [x for x in jax.tree.leaves((changing(after), sums["loss"])) if jnp.issubdtype(x.dtype, jnp.inexact)]
    good = jnp.array([jnp.isfinite(x).all() for x in numbers]).all()
    choose = lambda new, old: jnp.where(good, new, old)  # noqa: E731
    params, opt_state, carry = jax.tree.map(choose, changing(after), changing(before))
    sums = {name: jax.tree.map(lambda x: jnp.where(good, x, jnp.zeros_like(x)), pair) for name, pair in sums.items()}
    sums["skipped"] = _once(1 - good.astype(jnp.float32))
    return after._replace(params=params, opt_state=opt_state, carry=carry), sums


def data_key(key: Key) -> Key:
    """Return the key of a run's training data."""
    return jax.random.fold_in(key, 0)


def evaluate(
    model: Model, mesh: Mesh | None = None, batch_of: Callable = lambda item: item, streams: int | None = None
) -> Callable:
    """Return `(params, items) -> {metric: (sum, count)}` over items `[n, ...]`; `batch_of` makes each a batch.

    streams: the items are consecutive chunks of this many streams, and the carry goes from one to the next.
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
    """Return a whole evaluation split as (items, batch_of), see `evaluate`.

    Items are the results of the task's `sample`, made once for all programs; or, where the device makes them and they
    take more than `HELD` bytes, the numbers of batches, from which each is made when needed.
    """
    numbers = range(-task.data.warmup(split, batch_size), task.batches(split, batch_size))
    if task.data.on_device:
        make = functools.partial(sample_batch, task.data.sample, split, batch_size)
        shapes = jax.eval_shape(make, jnp.int32(0))
        if len(numbers) * sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes)) > HELD:
            return jnp.asarray(numbers), lambda number: task.data.finish(make(number))
    return _made(task, split, batch_size, numbers), task.data.finish


def first_batch(task: Task, split: str, examples: int) -> Batch:
    """Return the first `examples` of an evaluation split, made once; for streams, the first chunk of as many."""
    return jax.tree.map(lambda x: x[0], _finished(task, split, examples))


def sample_batch(sample: Callable, split: str, batch_size: int, number: Array) -> PyTree:
    """Sample a batch of an evaluation split, the same for every run: these splits ignore the key."""
    return sample(split, jax.random.key(0), number, batch_size)


# By the task's `sample`, which identifies the task and is hashable.
_MADE = LRUCache(16)


def _made(task: Task, split: str, batch_size: int, numbers: range) -> PyTree:
    """Sample batches of a split by their numbers, stacked."""

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


def each_mean(sums: dict) -> list[dict[str, float]]:
    """Return `{metric: mean}` of n trials from `{metric: (sum [n], count [n])}`, in one transfer; nan of no count."""
    found = jax.device_get(sums)
    trials = range(len(next(iter(found.values()))[0]))
    return [{name: _mean(pair, i) for name, pair in found.items()} for i in trials]


def _mean(pair: tuple, trial: int) -> float:
    total, count = float(pair[0][trial]), float(pair[1][trial])
    kept = RootMean(total, count) if isinstance(pair, RootMean) else (total, count)
    return mean_of(kept) if count else math.nan
