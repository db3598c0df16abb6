"""The settings of a run's diagnoses, and their programs."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from jax.sharding import Mesh

from rnngen.diagnostics import DIAGNOSES, Diagnosis
from rnngen.models import Model, StepModel, count_state
from rnngen.tasks import Task
from rnngen.training import sharding


class DiagnosticsConfig(NamedTuple):
    """The diagnoses of a run, made before the first step, after the last, and every so many steps.

    Attributes:
      every: steps between diagnoses; 0: none between.
      what: the diagnoses by name.
      examples: the number of examples of the valid split that they see.
    """

    every: int = 0
    what: Mapping[str, Diagnosis] = MappingProxyType({"gradient_flow": DIAGNOSES["gradient_flow"]()})
    examples: int = 64

    def check(self, model: Model, task: Task) -> None:
        """Check the numbers, and that every diagnosis fits the model and the task.

        Args:
          model: to be diagnosed.
          task: it is trained on.

        Raises:
          ValueError: naming the first value out of range, or the diagnosis that does not fit the model.
        """
        if self.examples < 1:
            raise ValueError(f"examples must be positive, got {self.examples}")
        if self.every < 0:
            raise ValueError(f"every must not be negative, got {self.every}")
        size = task.data.sizes["valid"]
        if size is not None and task.data.chunks is None and self.examples > size:
            raise ValueError(f"examples must be at most the {size} of the valid split, got {self.examples}")
        if self.what:
            task.check_streams("examples", "valid", self.examples)
        # By sizes only: a cell whose step fails is reported by its own trial.
        size = count_state(model)
        length = task.steps("valid")
        for name, diagnosis in self.what.items():
            if diagnosis.steps and not isinstance(model, StepModel):
                raise ValueError(f"{name}: goes step by step, which {model.stepless} cannot")
            if self.examples < diagnosis.least_examples:
                least = diagnosis.least_examples
                raise ValueError(f"{name}: needs examples to be at least {least}, got {self.examples}")
            try:
                diagnosis.check(size, length)
                diagnosis.fits(task)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error

    def program(self, model: Model, task: Task, diagnosis: Diagnosis, mesh: Mesh | None = None) -> Callable:
        """Make the function that a diagnosis runs.

        Args:
          model: to be diagnosed.
          task: it is trained on.
          diagnosis: to be made.
          mesh: devices that share the examples; None: they do not.

        Returns:
          (params, batch) -> the measurements.
        """

        def measure(params, batch):
            return diagnosis.measure(model, params, batch, task)

        axis = diagnosis.batch_axis
        return measure if mesh is None or axis is None else sharding.per_example(measure, mesh, axis)
