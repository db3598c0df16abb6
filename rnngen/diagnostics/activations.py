"""Activations of each layer of a model at each step: its output, its carry and its gates."""

from typing import NamedTuple

import jax

from rnngen.engines import unroll
from rnngen.engines.steps import StepInput, where
from rnngen.models import LayerModel, Model
from rnngen.types import Array, Carry, Params


class Activations(NamedTuple):
    """What a layer holds at each step.

    Attributes:
      output: `[t, *b, h]`, what the layer above takes; zero where the step is masked.
      carry: the carry that leaves the step, `[t, *b, ...]` on each leaf.
      gates: name -> `[t, *b, h]`, as the cell's `observe` shows them; empty for a cell that shows none.
    """

    output: Array
    carry: Carry
    gates: dict[str, Array]


def activations(
    model: Model,
    params: Params,
    inputs: Array,
    carry: Carry | None = None,
    *,
    mask: Array | None = None,
    resets: Array | None = None,
) -> dict[str, Activations]:
    """Record what every layer of a model does at each step.

    Args:
      model, params: as `Run.restore` returns them; all layers read one way.
      inputs: `[t, *b, d]`, or tokens `[t, *b]`.
      carry, mask, resets: as in `unroll`.

    Returns:
      `{"layer_0": Activations, ...}`, from the lowest layer.

    Raises:
      ValueError: the model is bidirectional, of a control, or has latent variables.
    """
    if not isinstance(model, LayerModel):
        what = model.stepless or "a latent model"
        raise ValueError(f"activations: are of layers one above another that step, which {what} has not")

    def record(prepared: Params, entering: Carry, inputs: StepInput, after: Carry) -> dict[str, Activations]:
        seen, u = {}, inputs.u
        for name, cell in model.layers.items():
            at_step = prepared[name], entering[name], cell.project(prepared[name], u)
            gates, u = cell.observe(*at_step), cell.step(*at_step)[1]
            seen[name] = Activations(u if inputs.mask is None else where(inputs.mask, u, 0), after[name], gates)
        return seen

    if mask is None and model.input_spec.tokens:  # whose axes are all the batch's
        mask = jax.numpy.ones(inputs.shape, bool)
    return unroll(model.cell, params, inputs, carry, mask=mask, resets=resets, record=record)[2]
