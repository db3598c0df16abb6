"""Norm of a prediction's loss gradient in every input, by pairs of steps."""

import jax
import jax.numpy as jnp

from rnngen.cells.cell import no_preparation, no_projection
from rnngen.diagnostics.gradient_flow import summed_loss, weighed_at
from rnngen.engines import unroll
from rnngen.models import StepModel
from rnngen.tasks import Task
from rnngen.types import Array, Batch, Params


def connectivity(model: StepModel, params: Params, batch: Batch, task: Task, steps: Array) -> Array:
    """Measure |d loss at one step / d input at another|.

    An input is what enters the first layer, such as the embedding of a token; all steps after the prediction have
    zeros. The model runs step by step, so it must not be bidirectional.

    Args:
      model, params, batch, task: a model, a batch `[t, b]` and the task whose loss is differentiated.
      steps: those of the losses, `[predictions]`.

    Returns:
      `[predictions, t, b]`.
    """
    prepared = model.cell.prepare(params)
    encoded = model.cell.project(prepared, batch.inputs)
    bare = model.cell._replace(project=no_projection, prepare=no_preparation)

    def of_one(step):
        loss = summed_loss(model, weighed_at(batch, step), task)

        def at_step(encoded):
            return loss(unroll(bare, prepared, encoded, mask=batch.mask, resets=batch.resets, engine="scan")[1])

        return jnp.linalg.norm(jax.grad(at_step)(encoded), axis=-1)

    return jax.lax.map(of_one, jnp.asarray(steps))
