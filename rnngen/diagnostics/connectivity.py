"""Which inputs a prediction hangs on: the norm of its loss's gradient in every input, by pairs of steps."""

import jax
import jax.numpy as jnp

from rnngen.cells.cell import no_preparation, no_projection
from rnngen.diagnostics.gradient_flow import summed_loss, weighed_at
from rnngen.engines import unroll
from rnngen.models.stack import Model
from rnngen.tasks import Task
from rnngen.types import Array, Batch, Params


def connectivity(model: Model, params: Params, batch: Batch, task: Task, steps: Array) -> Array:
    """|d loss at one step / d input at another|, `[predictions, t, b]`, for the losses at steps `[predictions]`.

    An input is what enters the first layer, such as the embedding of a token; all steps after the prediction have
    zeros. The model goes step by step, so it must not read both ways.
    """
    prepared = model.cell.prepare(params)
    encoded = model.cell.project(prepared, batch.inputs)
    bare = model.cell._replace(project=no_projection, prepare=no_preparation)

    def of_one(step):
        loss = summed_loss(task, weighed_at(batch, step))

        def at_step(encoded):
            return loss(unroll(bare, prepared, encoded, mask=batch.mask, resets=batch.resets, engine="scan")[1])

        return jnp.linalg.norm(jax.grad(at_step)(encoded), axis=-1)

    return jax.lax.map(of_one, jnp.asarray(steps))
