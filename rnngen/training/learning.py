"""Training by a learning rule other than back-propagation through time; devices share a batch as for any gradient."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from rnngen.models import Model, stepwise
from rnngen.rules import Rule, online
from rnngen.tasks import Task
from rnngen.training.sharding import AXIS, REPLICATED, over_batch, own_key, total
from rnngen.types import Array, Batch, Key, Params, PyTree


def rule_gradient(model: Model, task: Task, rule: Rule, mesh: Mesh) -> Callable:
    """Return (params, batch, key, step=0, carry=None) -> (gradient, sums, None), as `sharding.loss_and_gradient`."""

    def local(params: Params, batch: Batch, carry: None, key: Key):
        loss, options = _part_of(task, batch, mesh), _options(batch, key, mesh)
        own = lambda ys: loss(ys, batch)  # noqa: E731
        gradient, sums = rule.gradient(stepwise(model), params, batch.inputs, own, has_aux=True, **options)
        return *total((gradient, sums), mesh), None

    shared = over_batch(local, mesh, (REPLICATED, REPLICATED, PartitionSpec(AXIS)))
    return lambda params, batch, key, step=0, carry=None: shared(params, batch, carry, key)


def online_update(model: Model, task: Task, rule: Rule, mesh: Mesh, update: Callable) -> Callable:
    """Return ((params, opt_state, backoff), batch, key) -> (params, opt_state, sums): all updates within a sequence.

    Args:
      update: (params, opt_state, backoff, gradients) -> (params, opt_state, sums).
    """

    def local(state: tuple[Params, PyTree, Array | None], batch: Batch, carry: None, key: Key):
        params, opt_state, backoff = state

        def one(params: Params, opt_state: PyTree, gradient: Params):
            return update(params, opt_state, backoff, total(gradient, mesh))

        params, opt_state, (sums, norms) = online(
            rule,
            stepwise(model),
            params,
            batch.inputs,
            batch,
            _part_of(task, batch, mesh),
            one,
            opt_state,
            **_options(batch, key, mesh),
        )
        return params, opt_state, total(sums, mesh) | norms

    shared = over_batch(local, mesh, (REPLICATED, REPLICATED, REPLICATED))
    return lambda state, batch, key: shared(state, batch, None, key)


def _options(batch: Batch, key: Key, mesh: Mesh) -> dict[str, Any]:
    return {"mask": batch.existing(), "resets": batch.resets, "key": own_key(key, mesh)}


def _part_of(task: Task, batch: Batch, mesh: Mesh) -> Callable:
    """Return (ys, part of the batch) -> (its part of the mean over all weighted steps of all devices, sums)."""
    weight = total(jnp.sum(batch.weights), mesh)
    weight = jnp.maximum(weight, jnp.finfo(weight.dtype).tiny)

    def loss(ys: Array, part: Batch) -> tuple[Array, dict]:
        scalar, sums = task.objective.loss(ys, part)
        return scalar * (jnp.sum(part.weights) / weight), jax.lax.stop_gradient(sums)

    return loss
