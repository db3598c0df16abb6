"""Steps with the same values and fewer derivatives: what a rule that keeps less than the whole influence sees.

The reverse mode of such a step gives the gradient of the rule; the rule computes the same going forward.
"""

import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from rnngen.cells import Cell
from rnngen.cells.cell import KERNEL, Gated
from rnngen.cells.credit import Credit, window
from rnngen.models import LayerModel, StepModel
from rnngen.types import Array

Stepping = Cell | StepModel
Local = Callable[[Cell], Callable]


def whole_cell(model: Stepping) -> Cell:
    """Return a model seen as one cell.

    Args:
      model: a model that steps, or a cell.

    Returns:
      The cell.
    """
    return model.cell if isinstance(model, StepModel) else model


def layers_of(model: Stepping) -> Mapping[str, Cell]:
    """Return the layers of a model, by the names of their parameters and carries.

    Args:
      model: a model of layers, or a cell.

    Returns:
      The cells; a cell by itself has the name "".
    """
    return model.layers if isinstance(model, LayerModel) else {"": whole_cell(model)}


def with_step(model: Stepping, step: Callable) -> Cell:
    """Give the model, as one cell, a step with other derivatives.

    Args:
      model: a model that steps, or a cell.
      step: (params, carry, u) -> (carry, y), with the values of the model's own.

    Returns:
      The cell.
    """
    # Engines derive other gradients from the structure.
    return whole_cell(model)._replace(credit=Credit(step=step), structure=None)


def layerwise(model: Stepping, local: Local) -> Cell:
    """Give each layer another derivative, and no layer's carry one in the layers below.

    Between layers, credit goes down at the same step only: through the output of a layer, not through the carry of the
    one above it. An embedding counts as a layer below.

    Args:
      model: a model of layers, or a cell.
      local: cell -> its step, with other derivatives.

    Returns:
      The model as one cell.
    """
    if not isinstance(model, LayerModel):
        return with_step(model, local(whole_cell(model)))
    layers, steps = model.layers, {name: local(cell) for name, cell in model.layers.items()}

    def step(params, carry, u):
        new = {}
        for name, cell in layers.items():
            run = functools.partial(steps[name], params[name], carry[name])
            # Computed once by the compiler: the two differ in what is derived.
            new[name], _ = run(cell.project(params[name], jax.lax.stop_gradient(u)))
            _, u = run(cell.project(params[name], u))
        return new, model.decode(params, u)

    return with_step(model, step)


def own(cell: Cell) -> Callable:
    """Keep the step as it is.

    Args:
      cell: any cell.

    Returns:
      Its step.
    """
    return cell.step


def unit_by_unit(cell: Cell) -> Callable:
    """Keep of the recurrent product what each unit gives itself: the diagonals of the kernel's blocks.

    Args:
      cell: any cell.

    Returns:
      The step; the cell's own where it is not a pointwise `Gated` one.
    """

    def product(hidden: Array, kernel: Array) -> Array:
        still, units = jax.lax.stop_gradient(hidden), len(kernel)
        diagonals = jnp.diagonal(kernel.reshape(units, -1, units), axis1=0, axis2=2).reshape(-1)
        alone = jnp.tile(hidden - still, kernel.shape[1] // units)
        return still @ kernel + alone * jax.lax.stop_gradient(diagonals)

    return _with_product(cell, product)


def without_recurrence(cell: Cell) -> Callable:
    """Keep of the recurrent product the derivative in the kernel alone.

    Args:
      cell: any cell.

    Returns:
      The step; the cell's own where it is not a pointwise `Gated` one.
    """
    return _with_product(cell, lambda hidden, kernel: jax.lax.stop_gradient(hidden) @ kernel)


def _with_product(cell: Cell, product: Callable[[Array, Array], Array]) -> Callable:
    structure = cell.structure
    if not isinstance(structure, Gated) or not structure.pointwise:
        return cell.step

    def step(params, carry, u):
        return structure.combine(params, carry, u, product(structure.hidden(carry), params[KERNEL]))

    return step


def cut_after(steps: int) -> Callable[[Stepping], Cell]:
    """Cut the gradient of each loss after a number of steps.

    Args:
      steps: that a loss reaches, its own among them.

    Returns:
      (model) -> the model as one cell.

    Raises:
      ValueError: steps is below one.
    """
    credit = window(steps)
    return lambda model: whole_cell(model)._replace(credit=credit)
