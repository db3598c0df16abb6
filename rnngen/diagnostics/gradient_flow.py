"""Gradient of a loss with respect to the carry that enters each step.

The carry that *enters* a step, not the one that leaves it: a step returns its output beside the new carry, so the loss
at the last step does not depend on the carry that leaves it.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from rnngen.cells import Cell
from rnngen.engines import prepare_unroll, unroll
from rnngen.models import Model
from rnngen.tasks import Task
from rnngen.tasks.losses import nll_loss
from rnngen.types import Array, Batch, Carry, Params, PyTree


def carry_gradients(
    cell: Cell,
    params: Params,
    xs: PyTree,
    loss: Callable[[PyTree], Array],
    carry: Carry | None = None,
    *,
    mask: Array | None = None,
    resets: Array | None = None,
) -> Carry:
    """Compute the gradient of a loss with respect to the carry that enters each step.

    Small gradients underflow: see `log_gradient_norms`.

    Args:
      cell, params, xs, carry, mask, resets: as in `unroll`.
      loss: (ys) -> scalar. A sum over examples gives each example its own gradient; a mean scales it by 1/b.

    Returns:
      The carry's tree with a leading `t` on each leaf; index 0 belongs to the initial carry. Integer leaves are float0.
    """
    start = prepare_unroll(cell, params, xs, carry, mask=mask, resets=resets).carry

    def probed(probes):
        return loss(unroll(cell, params, xs, carry, mask=mask, resets=resets, probes=probes)[1])

    return jax.grad(probed, allow_int=True)(zero_probes(start, jax.tree.leaves(xs)[0].shape[0]))


def gradient_flow(model: Model, params: Params, batch: Batch, task: Task | None = None) -> dict[str, Carry]:
    """Compute `carry_gradients` of a whole model under a loss summed over examples and weighted steps.

    Args:
      model, params, batch: a model, its parameters, and a batch `[t, *b]`.
      task: whose loss is differentiated; default: the negative log-likelihood of the model's head.

    Returns:
      `{"layer_0": <that layer's carry, leading t>, ...}`, from one backward pass.
    """
    steps, *batch_shape = batch.weights.shape
    start = model.init_carry(params, tuple(batch_shape))

    def probed(probes):
        options = {"mask": batch.mask, "resets": batch.resets, "probes": probes}
        return summed_loss(model, batch, task)(model.apply(params, batch.inputs, **options)[1])

    return jax.grad(probed, allow_int=True)(zero_probes(start, steps))


def zero_probes(carry: Carry, steps: int) -> Carry:
    """Make probes for `unroll` that change nothing: zeros like `carry` with a leading `t`."""
    return jax.tree.map(lambda c: jnp.zeros((steps, *c.shape), c.dtype), carry)


def weighed_at(batch: Batch, step: Array) -> Batch:
    """Return the batch with weight at one step alone: a number, or one for each example `[b]`."""
    return batch._replace(weights=jnp.where(jnp.arange(len(batch.weights))[:, None] == step, batch.weights, 0))


def summed_loss(model: Model, batch: Batch, task: Task | None = None) -> Callable[[PyTree], Array]:
    """Return (outputs) -> the loss on `batch`, of the task or else of the model's head, summed over weighted steps."""
    loss = nll_loss(model.head) if task is None else task.objective.loss
    return lambda outputs: loss(outputs, batch)[1]["loss"][0]
