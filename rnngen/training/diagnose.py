"""Which diagnoses a run makes, when, and the programs that make them."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import jax
from jax.sharding import Mesh

from rnngen.diagnostics import DIAGNOSES, Diagnosis
from rnngen.engines import trees
from rnngen.models import Model, StepModel
from rnngen.tasks import Task
from rnngen.training import sharding


class DiagnosticsConfig(NamedTuple):
    """Which diagnoses to make, by name, and when: before the first step, after the last, and `every` steps (0: not).

    examples: of how many of the valid split.
    """

    every: int = 0
    what: Mapping[str, Diagnosis] = MappingProxyType({"gradient_flow": DIAGNOSES["gradient_flow"]()})
    examples: int = 64

    def check(self, model: Model, task: Task) -> None:
        """Raise ValueError naming the first value that makes no sense, or the diagnosis that does not fit."""
        if self.examples < 1:
            raise ValueError(f"examples must be positive, got {self.examples}")
        if self.every < 0:
            raise ValueError(f"every must not be negative, got {self.every}")
        size = task.data.sizes["valid"]
        if size is not None and task.data.chunks is None and self.examples > size:
            raise ValueError(f"examples must be at most the {size} of the valid split, got {self.examples}")
        if self.what:
            task.check_streams("examples", "valid", self.examples)
        # By the sizes alone: a cell whose step fails is for its own trial to report.
        params = jax.eval_shape(model.init, jax.random.key(0))
        size = trees.count_reals(jax.eval_shape(lambda p: model.init_carry(p, ()), params))
        length = task.steps("valid")
        for name, diagnosis in self.what.items():
            if diagnosis.steps and not isinstance(model, StepModel):
                raise ValueError(f"{name}: goes step by step, which a bidirectional model cannot")
            try:
                diagnosis.check(size, length)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error

    def program(self, model: Model, task: Task, diagnosis: Diagnosis, mesh: Mesh | None = None) -> Callable:
        """(params, batch) -> what the diagnosis measures."""

        def measure(params, batch):
            return diagnosis.measure(model, params, batch, task)

        axis = diagnosis.batch_axis
        return measure if mesh is None or axis is None else sharding.per_example(measure, mesh, axis)
