"""The contract of a regulariser: a term added to the training loss."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax

from rnngen.models import Model
from rnngen.tasks import Task


class Regularizer(NamedTuple):
    """A term added to the training loss.

    Attributes:
      penalty: (model, task, params, batch) -> scalar, a mean over examples, differentiable in params; None: no term.
      before: updates at the start of a run that follow the penalty alone, without the task's loss.
      until: the update at which the penalty ends; None: never.
      one_device: its linear algebra must not run on several CPU devices at once.
    """

    penalty: Callable | None
    before: int = 0
    until: int | None = None
    one_device: bool = False

    def check(self, model: Model, task: Task) -> None:
        """Check that the penalty fits the model; only shapes are computed.

        Args:
          model: to be trained.
          task: it is trained on.

        Raises:
          ValueError: it does not.
        """
        if self.penalty is not None:
            penalty = self.penalty
            jax.eval_shape(lambda p, batch: penalty(model, task, p, batch), model.param_shapes, task.example("train"))


def none() -> Regularizer:
    """Make the regulariser without a penalty.

    Returns:
      The regulariser.
    """
    return Regularizer(None)


def check_not_negative(**numbers: float) -> None:
    """Raise ValueError naming the first number that is below 0 or not finite."""
    for name, number in numbers.items():
        if not 0 <= number < math.inf:
            raise ValueError(f"{name} must be at least 0, got {number}")
