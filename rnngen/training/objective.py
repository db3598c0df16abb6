"""The training objective: the task's loss, and a regulariser's penalty while it applies."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from rnngen.models import Model
from rnngen.tasks import Task
from rnngen.training.regularizers import Regularizer


def regularized(model: Model, task: Task, regularizer: Regularizer) -> Callable | None:
    """Return the `objective` of `sharding.loss_and_gradient`, or None without a penalty.

    The penalty, while it applies, is one of the metrics; before update `before` it alone is minimised.
    """
    term, before, until = regularizer.penalty, regularizer.before, regularizer.until
    if term is None:
        return None

    def penalty(params, batch):
        return term(model, task, params, batch)

    def objective(loss, params, batch, step):
        # Branches rather than weights: an infinite loss times zero is NaN, and an unused term should cost nothing.
        frozen = lambda p: loss(jax.lax.stop_gradient(p))  # noqa: E731
        scalar, (carry, sums) = jax.lax.cond(step < before, frozen, loss, params) if before else loss(params)
        scalar = jnp.where(step < before, 0, scalar)
        holds = jnp.bool_(True) if until is None else step < until
        extra = jax.lax.cond(holds, penalty, lambda *_: jnp.zeros((), scalar.dtype), params, batch)
        return scalar + extra, (carry, sums | {"penalty": (extra, holds.astype(scalar.dtype))})

    return objective
