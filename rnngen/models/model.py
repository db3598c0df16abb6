"""The contracts of models: any model, one that runs step by step, and one of layers."""

import dataclasses
import functools
from collections.abc import Callable, Mapping

import jax

from rnngen.cells import Cell
from rnngen.heads import Head
from rnngen.types import InputSpec, PyTree, shapes_of


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """A recurrent model as pure functions, which check their inputs by `InputSpec.check`.

    Attributes:
      init: (key) -> params.
      init_carry: (params, batch_shape) -> carry.
      apply: (params, inputs `[t, *b, ...]`, carry=None, *, mask, resets, key, train, probes, engine)
        -> (carry, outputs `[t, *b, num_params]`); probes as in `unroll`, one entry per layer; engine: another than the
        model's.
      loss: (params, batch, carry=None, *, key, train) -> (scalar, (carry, sums)), the objective.
      input_spec, head: what it was built for.
      stepless: of a model that cannot go step by step, what it is, as "a model that reads both ways".
    """

    init: Callable
    init_carry: Callable
    apply: Callable
    loss: Callable
    input_spec: InputSpec
    head: Head
    stepless: str = dataclasses.field(default="", kw_only=True)

    @functools.cached_property
    def param_shapes(self) -> PyTree:
        """The shapes and dtypes of the parameters."""
        return shapes_of(self.init, jax.random.key(0))

    @functools.cached_property
    def carry_shapes(self) -> PyTree:
        """The shapes and dtypes of the carry of one sequence."""
        return shapes_of(lambda params: self.init_carry(params, ()), self.param_shapes)


@dataclasses.dataclass(frozen=True, eq=False)
class StepModel(Model):
    """A model that reads one way, so that it runs step by step, as generation and most diagnoses need.

    Attributes:
      step: (params, carry, x `[*b, ...]`) -> (carry, outputs), one step of `apply`.
      cell: the whole model seen as one cell, so that everything for a cell works on a model.
      draw: (prepared params, carry, x `[*b, ...]`, key, **how) -> (carry, values), one step of making a sequence; takes
        what `cell.prepare` returns, so that it is done once. how: what the head's `sample` takes.
      init, init_carry, apply, loss, input_spec, head, stepless: as in `Model`.
    """

    step: Callable
    cell: Cell
    draw: Callable


@dataclasses.dataclass(frozen=True, eq=False)
class LayerModel(StepModel):
    """A step model whose layers each take the outputs of the layer below.

    Attributes:
      layers: the cells, `{"layer_0": ..., ...}`, under the names of their parameters and carries.
      decode: (params, ys of the last layer `[*t, *b, h]`) -> outputs.
      init, init_carry, apply, loss, input_spec, head, stepless, step, cell, draw: as in `StepModel`.
    """

    layers: Mapping[str, Cell]
    decode: Callable


def stepwise(model: Model) -> StepModel:
    """Check that a model runs step by step.

    Args:
      model: the model.

    Returns:
      The same model, whose type says that it steps.

    Raises:
      ValueError: the model is bidirectional, or of a control.
    """
    if not isinstance(model, StepModel):
        raise ValueError(f"{model.stepless} cannot go step by step")
    return model
