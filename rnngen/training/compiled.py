"""The compiled programs of a run, or of several trained together; cached, since most runs of a sweep share them.

All take stacked states of `count` trials, `[count, ...]`, also for one trial. `map` trains them one after another, and
each gets the same bits as alone; `vmap` trains all at once, which on a GPU takes little longer than one.
"""

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from rnngen.diagnostics import Diagnosis
from rnngen.engines.cpu.calibration import LOOPS
from rnngen.engines.cpu.ffi import count_shares
from rnngen.engines.plainly import plainly
from rnngen.engines.telling import listening
from rnngen.registry import LRUCache
from rnngen.runtime import count_cores
from rnngen.training import sharding
from rnngen.training.experiment import Experiment
from rnngen.training.flops import count_flops
from rnngen.training.prefetch import batch_shapes, feed_shapes
from rnngen.training.state import (
    TrainState,
    evaluate,
    first_batch,
    init_params,
    init_state,
    split_batches,
    train_steps,
    train_update,
)
from rnngen.types import Array, Params, PyTree

TRIALS = "trials"


class CompiledSteps(NamedTuple):
    """The compiled programs of stacked trials.

    Attributes:
      train: by the number of steps, (states, active `[count]`, fed) -> (states, sums), see `train_steps`.
      evaluate: by split, (params, active) -> sums; those of inactive trials are meaningless.
      pick: (states, place) -> the state of one trial.
      remember: (states, better `[count]`) -> states; where `better`, the parameters are saved as the best.
      diagnose: by name, (params of one trial) -> the record.
      how: "map" or "vmap".
    """

    train: dict[int, Callable]
    evaluate: dict[str, Callable]
    pick: Callable
    remember: Callable
    diagnose: dict[str, Callable]
    how: str


def start_state(experiment: Experiment) -> TrainState:
    """Return the state before the first step."""
    # The numbers of initialisers are constants here, and `program` leaves them out: a model has its own.
    name = (experiment.program, "init", experiment.model.init)
    return _first_state(experiment, _cached(name, lambda: jax.jit(functools.partial(init_params, experiment.model))))


def _first_state(experiment: Experiment, make: Callable | None = None) -> TrainState:
    model, task, optimizer, train, _, seed, *_ = experiment
    streams = train.examples(task) if task.data.chunks else None
    best, may_back_off = train.select == "best", train.on_divergence == "restore"
    return init_state(model, optimizer, seed, make, streams, best, may_back_off)


def alike(experiments: Sequence[Experiment]) -> list[list[int]]:
    """Group the experiments that one program trains.

    Args:
      experiments: of several trials.

    Returns:
      Their indices, a list a program.
    """
    groups: dict[Any, list[int]] = {}
    for place, experiment in enumerate(experiments):
        groups.setdefault(experiment.program or place, []).append(place)
    return list(groups.values())


def compiled_steps(experiment: Experiment, states: TrainState, how: str = "map") -> CompiledSteps:
    """Return the programs for stacked states, compiled or from the cache. how: "auto" times both."""
    count, lengths = states.step.shape[0], experiment.train.lengths(int(states.step[0]))
    mesh = mesh_of_run(experiment) if count == 1 else _mesh_of_pack(experiment, count)
    name = (experiment.program, count, how if count > 1 else "map", mesh, *lengths)

    def make() -> CompiledSteps:
        if count == 1 or how != "auto":
            return _compile(experiment, states, mesh, how, lengths)
        both = [_compile(experiment, states, mesh, way, lengths) for way in ("map", "vmap")]
        return min(both, key=lambda programs: _seconds(programs, states, experiment))

    return _cached(name, make)


def place(states: TrainState, experiment: Experiment) -> TrainState:
    """Place the stacked states on the devices that train them."""
    count = states.step.shape[0]
    if count == 1:
        return sharding.replicate(states, mesh_of_run(experiment))
    return jax.device_put(states, NamedSharding(_mesh_of_pack(experiment, count), PartitionSpec(TRIALS)))


def mesh_of_run(experiment: Experiment) -> Mesh:
    """Return the devices that divide every batch of a run; a single one if it uses all cores by itself."""
    if experiment.regularizer.one_device:
        return sharding.mesh_of(1)
    batch_size = experiment.train.examples(experiment.task)
    mesh = sharding.mesh_for(batch_size, experiment.train.eval_batch_size)
    alone = mesh.size == 1 or jax.process_count() > 1 or count_shares(batch_size) < count_cores()
    alone = alone or not experiment.rule.plain  # which takes no compiled loops
    return mesh if alone or set(ways_of(experiment)) != {LOOPS} else sharding.mesh_of(1)


def ways_of(experiment: Experiment) -> list[str]:
    """Return the way, "loops" or "jax", that each layer of a training step runs, in order of unrolling."""
    model, key = experiment.model, jax.random.key(0)

    def look() -> list[str]:
        params, batch = model.param_shapes, batch_shapes(experiment)
        with listening() as said:
            jax.eval_shape(lambda params, batch: model.loss(params, batch, key=key, train=True), params, batch)
        return said

    return _cached((experiment.program,), look, _WAYS)


def update_flops(experiment: Experiment) -> int:
    """Count the floating-point operations of an update: the gradient, as the rule finds it, and the optimiser.

    They are those of plain scans, whatever the engine, so that they compare cells and not programs. Cached.

    Args:
      experiment: the run.

    Returns:
      The number, see `count_flops`.
    """

    def count() -> int:
        model, task, optimizer, train, _, _, regularizer, _, rule = experiment
        mesh, skip = sharding.mesh_of(1), train.on_divergence == "skip_update"
        update = train_update(model, task, optimizer, mesh, regularizer, skip, rule)
        state = jax.eval_shape(lambda: _first_state(experiment))
        with plainly():
            return count_flops(jax.make_jaxpr(update)(state, batch_shapes(experiment), jax.random.key(0)).jaxpr)

    return _cached((experiment.program, "flops"), count, _WAYS)


def _mesh_of_pack(experiment: Experiment, count: int) -> Mesh:
    """Return the devices among which the trials are divided evenly."""
    most = 1 if experiment.regularizer.one_device else jax.local_device_count()
    size = max(n for n in range(1, most + 1) if count % n == 0)
    return jax.make_mesh((size,), (TRIALS,), axis_types=(AxisType.Auto,), devices=jax.local_devices()[:size])


_PROGRAMS, _WAYS = LRUCache(8), LRUCache(64)


def _cached(name: tuple, make: Callable[[], Any], keeper: LRUCache = _PROGRAMS) -> Any:
    """Return the cached value of this name, or make it; nothing is cached for experiments without a `program`."""
    return make() if name[0] is None else keeper.get(name, make)


def _compile(experiment: Experiment, states: TrainState, mesh: Mesh, how: str, lengths: list[int]) -> CompiledSteps:
    count, active = states.step.shape[0], jnp.ones(states.step.shape, jnp.bool_)
    inner = mesh if count == 1 else sharding.mesh_of(1)
    over = functools.partial(_over_trials, count=count, how=how, mesh=mesh)
    everywhere = NamedSharding(mesh, sharding.REPLICATED if count == 1 else PartitionSpec(TRIALS))
    whole = NamedSharding(mesh, sharding.REPLICATED)
    taking = jax.jit(lambda states, place: jax.tree.map(lambda x: x[place], states), out_shardings=whole)
    pick = taking.lower(states, 0).compile()
    params = pick(states, 0).params

    def training(steps: int) -> Callable:
        one = _train_program(experiment, inner, steps)
        run = lambda states, active, fed: over(lambda both: one(*both))((states, fed), active)  # noqa: E731
        jitted = jax.jit(run, donate_argnums=0, out_shardings=(everywhere, None))
        return jitted.lower(states, active, feed_shapes(experiment, count, steps)).compile()

    return CompiledSteps(
        {steps: training(steps) for steps in lengths},
        {split: _evaluating(experiment, split, over, inner, mesh, states, active) for split in ("valid", "test")},
        pick,
        jax.jit(_remember, donate_argnums=0, out_shardings=everywhere).lower(states, active).compile(),
        {name: _diagnosing(experiment, what, params) for name, what in experiment.diagnose.what.items()},
        how,
    )


def _train_program(experiment: Experiment, mesh: Mesh, steps: int) -> Callable:
    """Return the program of `steps` updates of one trial."""
    model, task, optimizer, train, _, _, regularizer, _, rule = experiment
    size, skip = train.examples(task), train.on_divergence == "skip_update"
    return train_steps(model, task, optimizer, size, steps, mesh, regularizer, skip, rule)


def _remember(states: TrainState, better: Array) -> TrainState:
    if states.best is None:
        return states
    choose = lambda new, old: jnp.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old)  # noqa: E731
    return states._replace(best=jax.tree.map(choose, states.params, states.best))


def _evaluating(
    experiment, split: str, over: Callable, inner: Mesh, mesh: Mesh, states: TrainState, active
) -> Callable:
    """Compile (params, active) -> sums."""
    items, batch_of = split_batches(experiment.task, split, experiment.train.eval_batch_size)
    items = sharding.replicate(items, mesh)
    streams = experiment.train.eval_batch_size if experiment.task.data.chunks else None
    program = jax.jit(over(evaluate(experiment.model, inner, batch_of, streams)))
    compiled = program.lower(states.params, active, items).compile()
    return lambda params, active: compiled(params, active, items)


def _over_trials(function: Callable, *, count: int, how: str, mesh: Mesh) -> Callable:
    """Map function(tree of one trial, *shared) over trials: (stacked trees, active, *shared) -> stacked results."""

    def run(trees: PyTree, active: Array, *shared: PyTree) -> PyTree:
        one = lambda tree: function(tree, *shared)  # noqa: E731
        if how == "vmap":
            return jax.vmap(one)(trees)
        if count == 1:
            return jax.lax.map(one, trees)

        def skipping(tree: PyTree, active: Array) -> PyTree:
            shapes = jax.eval_shape(one, tree)
            nothing = lambda tree: jax.tree.map(_blank, shapes)  # noqa: E731
            return jax.lax.cond(active, one, nothing, tree)

        return jax.lax.map(lambda args: skipping(*args), (trees, active))

    if count == 1 or mesh.size == 1:
        return run

    def dealt_out(trees: PyTree, active: Array, *shared: PyTree) -> PyTree:
        spec = PartitionSpec(TRIALS)
        specs = (spec, spec, *[sharding.REPLICATED] * len(shared))
        return jax.shard_map(run, mesh=mesh, in_specs=specs, out_specs=spec, check_vma=False)(trees, active, *shared)

    return dealt_out


def _blank(shape: jax.ShapeDtypeStruct) -> Array:
    if jnp.issubdtype(shape.dtype, jax.dtypes.prng_key):
        return jnp.broadcast_to(jax.random.key(0), shape.shape)
    return jnp.zeros(shape.shape, shape.dtype)


def _diagnosing(experiment: Experiment, diagnosis: Diagnosis, params: Params) -> Callable:
    """Compile a diagnosis; one that does not divide its examples between devices runs on the first only.

    It is not replicated, since LAPACK calls on two CPU devices at once deadlock on each other's threads.
    """
    alone = diagnosis.batch_axis is None or jax.process_count() > 1
    mesh = sharding.mesh_of(1) if alone else sharding.mesh_for(experiment.diagnose.examples)
    program = jax.jit(experiment.diagnose.program(experiment.model, experiment.task, diagnosis, mesh))
    batch = sharding.replicate(first_batch(experiment.task, "valid", experiment.diagnose.examples), mesh)
    here = lambda params: sharding.replicate(sharding.local(params), mesh)  # noqa: E731
    compiled = program.lower(here(params), batch).compile()
    return lambda params: compiled(here(params), batch)


def _seconds(programs: CompiledSteps, states: TrainState, experiment: Experiment) -> float:
    """Time a dispatch, after a first one that is not counted."""
    active, spent = jnp.ones(states.step.shape, jnp.bool_), 0.0
    steps, train = next(iter(programs.train.items()))
    shapes = feed_shapes(experiment, states.step.shape[0], steps)
    fed = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    for _ in range(2):
        given = jax.tree.map(jnp.copy, states)  # training donates its argument
        began = time.perf_counter()
        jax.block_until_ready(train(given, active, fed))
        spent = time.perf_counter() - began
    return spent
