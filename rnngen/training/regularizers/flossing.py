"""Gradient flossing: a penalty on Lyapunov exponents away from zero (Engelken 2023)."""

import jax
import jax.numpy as jnp

from rnngen.diagnostics import lyapunov_spectrum
from rnngen.models import Model, stepwise
from rnngen.tasks import Task
from rnngen.training.regularizers.regularizer import Regularizer, check_not_negative
from rnngen.types import Array, Batch, Params, at_least_float32


def flossing(weight: float = 1.0, exponents: int = 0, steps: int = 0, before: int = 0, until: int = 0) -> Regularizer:
    """Lyapunov exponents near zero: gradient flossing (Engelken 2023, NeurIPS).

    The mean over examples and exponents of the squared Lyapunov exponents per step, times `weight`; by QR at each step,
    through which it is differentiated. No noise is drawn.

    Args:
      weight: factor of the penalty.
      exponents: number of the largest exponents; 0: all that the carry of the whole model has.
      steps: number of first steps to take them from; 0: all.
      before: updates at the start that follow the penalty alone.
      until: the update at which the penalty ends; 0: never.

    Returns:
      The regulariser.

    Raises:
      ValueError: a number below 0, or an `until` before `before`.
    """
    check_not_negative(weight=weight, exponents=exponents, steps=steps, before=before, until=until)
    if until and until < before:
        raise ValueError(f"until must be 0 or at least before, {before}, got {until}")

    def penalty(model: Model, task: Task, params: Params, batch: Batch) -> Array:
        xs, mask, resets = jax.tree.map(lambda x: x[: steps or None], (batch.inputs, batch.existing(), batch.resets))
        options = {"count": exponents or None, "mask": mask, "resets": resets}
        spectrum = lyapunov_spectrum(stepwise(model).cell, params, xs, **options).exponents
        return weight * jnp.mean(at_least_float32(spectrum) ** 2)

    return Regularizer(penalty, before, until or None, one_device=True)
