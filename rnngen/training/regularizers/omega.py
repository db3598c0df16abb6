"""Omega: a penalty on gradients that change their norm from step to step (Pascanu et al. 2013)."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnngen.cells.cell import KERNEL, Cell, Gated
from rnngen.engines import cast_params, trees, unroll
from rnngen.models import LayerModel, Model
from rnngen.tasks import Task
from rnngen.training.regularizers.regularizer import Regularizer, check_not_negative
from rnngen.types import Array, Batch, Carry, Params, PyTree, at_least_float32


def omega(weight: float = 2.0, bound: float = 1e-20) -> Regularizer:
    """Gradients that keep their norm through every step: Omega of Pascanu, Mikolov and Bengio 2013, section 3.3.

    With x_k the carry that enters step k of a layer and E the loss, the mean over steps and examples of
    `(|dE/dx_{k+1} dx_{k+1}/dx_k|^2 / |dE/dx_{k+1}|^2 - 1)^2`, summed over layers, times `weight`. A step counts where
    |dE/dx_{k+1}|^2 is at least `bound`, and it is neither masked nor a reset. A cell's output, where the carry does not
    hold it, counts as a part of what leaves the step. No noise is drawn.

    The gradient is the immediate one of equation 10, in each layer's `recurrent_kernel` alone: states, the derivatives
    of the nonlinearities at them, and error vectors are constants. A cell that is not `Gated` does not say where its
    matrix product is; there all of its step is differentiated in the kernel, at constant x_k. Where a task's batches
    are chunks of streams, the penalty takes each chunk from the initial carry.

    Args:
      weight: factor of the penalty.
      bound: the smallest |dE/dx_{k+1}|^2 at which a step counts.

    Returns:
      The regulariser.

    Raises:
      ValueError: a weight below 0, or a bound not above 0; when used, a cell without `recurrent_kernel`.
    """
    check_not_negative(weight=weight, bound=bound)
    if bound == 0:
        raise ValueError("bound must be above 0: a step that no error reaches has no ratio, got 0")

    def penalty(model: Model, task: Task, params: Params, batch: Batch) -> Array:
        layered = _checked(model, params)
        loss = _probed_loss(layered, task, jax.lax.stop_gradient(params), batch)
        errors, entering = jax.grad(loss, has_aux=True)(_zero_probes(layered, params, batch))
        parts = (
            _layer_omega(cell, params[name], entering[name], errors[name], batch, bound)
            for name, cell in layered.layers.items()
        )
        return weight * functools.reduce(jnp.add, parts)

    return Regularizer(penalty)


class _Entering(NamedTuple):
    """Carries and projected inputs that enter each step of a layer, `[t, *b, ...]`."""

    carries: Carry
    us: PyTree


def _checked(model: Model, params: Params) -> LayerModel:
    """Return the model. Raises ValueError where it is not of layers that step, or one of these has no kernel."""
    if not isinstance(model, LayerModel):
        what = model.stepless or "a latent model"
        raise ValueError(f"omega goes through a model layer by layer and step by step, which {what} does not allow")
    for name in model.layers:
        if KERNEL not in params[name]:
            raise ValueError(f"omega acts on {KERNEL}, and the cell of {name} has none")
    return model


def _zero_probes(model: LayerModel, params: Params, batch: Batch) -> dict[str, PyTree]:
    """Make zeros like the floats that leave each step of each layer, `[t, *b, ...]`."""

    def leaving():
        us, found = model.cell.project(params, batch.inputs), {}
        for name, cell in model.layers.items():
            record = lambda params, carry, inputs, _, cell=cell: _leaving(*cell.step(params, carry, inputs.u))[0]  # noqa: E731
            _, us, leaves = unroll(cell, params[name], us, mask=batch.mask, resets=batch.resets, record=record)
            found[name] = trees.floats(leaves)
        return found

    return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(leaving))


def _probed_loss(model: LayerModel, task: Task, params: Params, batch: Batch) -> Callable:
    """Return probes -> (loss, {layer: _Entering}); a layer's probes are added to what leaves its steps."""

    def loss(probes):
        ys, entering = model.cell.project(params, batch.inputs), {}
        record = lambda params, carry, inputs, after: _Entering(carry, inputs.u[0])  # noqa: E731
        run = functools.partial(unroll, mask=batch.mask, resets=batch.resets, record=record)
        for name, cell in model.layers.items():
            _, ys, entering[name] = run(_probed(cell), params[name], (ys, probes[name]))
        return task.objective.loss(model.decode(params, ys), batch)[0], entering

    return loss


def _probed(cell: Cell) -> Cell:
    """Return the cell with inputs (xs, probes), the probes added to what leaves the step (`unroll` adds at entry)."""

    def project(params, xs, key=None):
        return cell.project(params, xs[0], key), xs[1]

    def step(params, carry, u):
        leaving, output = _leaving(*cell.step(params, carry, u[0]))
        probed = trees.merge(trees.add(trees.floats(leaving), u[1]), trees.others(leaving))
        return probed[0], output(probed)

    return cell._replace(project=project, step=step)


def _leaving(carry: Carry, y: PyTree) -> tuple[tuple[Carry, PyTree], Callable]:
    """Return what leaves a step, (carry, y) with y None where it *is* a leaf of the carry, and a reader of y."""
    same = [place for place, leaf in enumerate(jax.tree.leaves(carry)) if leaf is y]
    if same:
        return (carry, None), lambda leaving: jax.tree.leaves(leaving[0])[same[0]]
    return (carry, y), lambda leaving: leaving[1]


def _layer_omega(cell: Cell, params: Params, at: _Entering, errors: PyTree, batch: Batch, bound: float) -> Array:
    """Compute Omega of one layer, differentiable in its kernel alone; errors: dE/dx_{k+1}, like what leaves a step."""
    at, errors = jax.lax.stop_gradient((at, errors))
    live = jax.lax.stop_gradient(params) | {KERNEL: params[KERNEL]}
    # A cell may fold constants into its kernel, so the derivative goes through `prepare`.
    before = _pull_back(cell, cast_params(cell.prepare(live), at.us), at, errors)
    before, after = (_squared_norm(tree, batch.weights.ndim) for tree in (before, errors))
    counts = after >= bound
    for excluded in (None if batch.mask is None else ~batch.mask, batch.resets):
        counts = counts if excluded is None else counts & ~excluded
    terms = jnp.where(counts, (before / jnp.where(counts, after, 1) - 1) ** 2, 0)
    return jnp.sum(terms) / jnp.maximum(jnp.sum(counts, dtype=terms.dtype), 1)


def _pull_back(cell: Cell, prepared: Params, at: _Entering, errors: PyTree) -> Carry:
    """Compute dE/dx_{k+1} dx_{k+1}/dx_k for all steps at once: time is one more batch axis."""
    structure = cell.structure
    if not isinstance(structure, Gated):
        return trees.vjp(lambda c: _leaving(*cell.step(prepared, c, at.us))[0], at.carries)[1](errors)[0]
    frozen = jax.lax.stop_gradient(prepared)
    hidden, to_carry = trees.vjp(structure.hidden, at.carries)

    def combine(carry, a):
        return _leaving(*structure.combine(frozen, carry, at.us, a))[0]

    _, pull = trees.vjp(combine, at.carries, hidden @ frozen[KERNEL])
    direct, through = pull(errors)
    # The kernel moves the Jacobian here only; the point at which it is taken stays.
    return trees.add(direct, to_carry(through @ prepared[KERNEL].T)[0])


def _squared_norm(tree: PyTree, ndim: int) -> Array:
    """Sum squares over all leaves `[t, *b, ...]`, of which `ndim` axes stay: `[t, *b]`, at least in float32."""
    squares = (
        jnp.sum(at_least_float32(jnp.abs(x)) ** 2, axis=tuple(range(ndim, x.ndim))) for x in jax.tree.leaves(tree)
    )
    return functools.reduce(jnp.add, squares)
