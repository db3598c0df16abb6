"""What may join the loss so that gradients last: Omega (Pascanu et al. 2013), gradient flossing (Engelken 2023)."""

import functools
import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnngen.cells.cell import KERNEL, Cell, Gated
from rnngen.diagnostics import lyapunov_spectrum
from rnngen.engines import cast_params, prepare_unroll, trees
from rnngen.engines.steps import enter, leave, project
from rnngen.models.stack import Model
from rnngen.tasks import Task
from rnngen.types import Array, Batch, Carry, Params, PyTree


class Regularizer(NamedTuple):
    """A term added to the training loss.

    penalty: (model, task, params, batch) -> scalar, a mean over examples, differentiable in params; None: no term.
    before: updates at the start of a run that follow the penalty alone, without the task's loss.
    until: the update at which the penalty ends; None: never.
    one_device: its linear algebra must not run on several CPU devices at once, see `loop._diagnosing`.
    """

    penalty: Callable | None
    before: int = 0
    until: int | None = None
    one_device: bool = False

    def check(self, model: Model, task: Task) -> None:
        """Raise ValueError where the penalty does not fit the model; by the shapes alone."""
        if self.penalty is not None:
            penalty, params = self.penalty, jax.eval_shape(model.init, jax.random.key(0))
            jax.eval_shape(lambda p, batch: penalty(model, task, p, batch), params, task.example("train"))


def none() -> Regularizer:
    """The task's loss as it is."""
    return Regularizer(None)


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

    Raises ValueError for a weight below 0, or a bound not above 0; when used, for a cell without `recurrent_kernel`.
    """
    _check_not_negative(weight=weight, bound=bound)
    if bound == 0:
        raise ValueError("bound must be above 0: a step that no error reaches has no ratio, got 0")

    def penalty(model: Model, task: Task, params: Params, batch: Batch) -> Array:
        layers, loss = model.layers, _probed_loss(model, task, jax.lax.stop_gradient(params), batch)
        _check_kernels(params, layers)
        shapes = jax.eval_shape(lambda: {name: trees.floats(p.leaving) for name, p in loss(None)[1].items()})
        zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
        errors, passes = jax.grad(loss, has_aux=True)(zeros)
        parts = (_layer_omega(layers[name], params[name], passes[name], errors[name], batch, bound) for name in layers)
        return weight * functools.reduce(jnp.add, parts)

    return Regularizer(penalty)


class _Pass(NamedTuple):
    """A layer's way through a batch, `[t, *b, ...]`: entering carries, projected inputs, and what leaves each step."""

    entering: Carry
    us: PyTree
    leaving: PyTree


def _check_kernels(params: Params, layers: Mapping[str, Cell]) -> None:
    if not layers:
        raise ValueError(
            "omega goes through a model layer by layer, which one that is latent or reads both ways does not allow"
        )
    for name in layers:
        if KERNEL not in params[name]:
            raise ValueError(f"omega acts on {KERNEL}, and the cell of {name} has none")


def _probed_loss(model: Model, task: Task, params: Params, batch: Batch) -> Callable:
    """probes -> (loss, {layer: _Pass}); a layer's probes are added to what leaves its steps; None: nothing."""

    def loss(probes):
        ys, passes = model.cell.project(params, batch.inputs), {}
        for name, cell in model.layers.items():
            passes[name], ys = _run(cell, params[name], ys, batch, None if probes is None else probes[name])
        return task.loss(model.decode(params, ys), batch)[0], passes

    return loss


def _run(cell: Cell, params: Params, xs: PyTree, batch: Batch, probes: PyTree | None) -> tuple[_Pass, PyTree]:
    """`unroll`, but with probes on what leaves each step rather than on what enters it, the output included."""
    run = prepare_unroll(cell, params, xs, mask=batch.mask, resets=batch.resets)
    inputs = project(run.cell, run.params, run.inputs)

    def step(carry, at_step):
        inputs, probe = at_step
        entering = enter(cell, run.params, carry, inputs)
        leaving, output = _leaving(*cell.step(run.params, entering, inputs.u))
        if probe is not None:
            leaving = trees.merge(trees.add(trees.floats(leaving), probe), trees.others(leaving))
        carry, y = leave(inputs, entering, leaving[0], output(leaving))
        return carry, (_Pass(entering, inputs.u, leaving), y)

    return jax.lax.scan(step, run.carry, (inputs, probes))[1]


def _leaving(carry: Carry, y: PyTree) -> tuple[tuple[Carry, PyTree], Callable]:
    """What leaves a step, (carry, y) with y None where it *is* a leaf of the carry; and how to read y from it."""
    same = [place for place, leaf in enumerate(jax.tree.leaves(carry)) if leaf is y]
    if same:
        return (carry, None), lambda leaving: jax.tree.leaves(leaving[0])[same[0]]
    return (carry, y), lambda leaving: leaving[1]


def _layer_omega(cell: Cell, params: Params, at: _Pass, errors: PyTree, batch: Batch, bound: float) -> Array:
    """Omega of one layer, differentiable in its kernel alone; errors: dE/dx_{k+1}, like what leaves each step."""
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


def _pull_back(cell: Cell, prepared: Params, at: _Pass, errors: PyTree) -> Carry:
    """dE/dx_{k+1} dx_{k+1}/dx_k for all steps at once: time is one more batch axis."""
    structure = cell.structure
    if not isinstance(structure, Gated):
        return trees.vjp(lambda c: _leaving(*cell.step(prepared, c, at.us))[0], at.entering)[1](errors)[0]
    frozen = jax.lax.stop_gradient(prepared)
    hidden, to_carry = trees.vjp(structure.hidden, at.entering)

    def combine(carry, a):
        return _leaving(*structure.combine(frozen, carry, at.us, a))[0]

    _, pull = trees.vjp(combine, at.entering, hidden @ frozen[KERNEL])
    direct, through = pull(errors)
    # The kernel moves the Jacobian here only; the point at which it is taken stays.
    return trees.add(direct, to_carry(through @ prepared[KERNEL].T)[0])


def _squared_norm(tree: PyTree, ndim: int) -> Array:
    """Over all leaves `[t, *b, ...]`, of which `ndim` axes stay: `[t, *b]`, in float32 at least."""
    squares = (jnp.sum(_wide(jnp.abs(x)) ** 2, axis=tuple(range(ndim, x.ndim))) for x in jax.tree.leaves(tree))
    return functools.reduce(jnp.add, squares)


def _wide(x: Array) -> Array:
    return x.astype(jnp.float32) if x.dtype.itemsize < 4 else x


def flossing(weight: float = 1.0, exponents: int = 0, steps: int = 0, before: int = 0, until: int = 0) -> Regularizer:
    """Lyapunov exponents near zero: gradient flossing (Engelken 2023, NeurIPS).

    The mean over examples, and over the `exponents` largest Lyapunov exponents per step (0: all that the carry of the
    whole model has), of their squares, times `weight`; by QR at each of the first `steps` steps (0: all), through which
    it is differentiated. before, until: see `Regularizer`; until = 0: never ends. No noise is drawn.

    Raises ValueError for a number below 0, or an `until` before `before`.
    """
    _check_not_negative(weight=weight, exponents=exponents, steps=steps, before=before, until=until)
    if until and until < before:
        raise ValueError(f"until must be 0 or at least before, {before}, got {until}")

    def penalty(model: Model, task: Task, params: Params, batch: Batch) -> Array:
        xs, mask, resets = jax.tree.map(lambda x: x[: steps or None], (batch.inputs, batch.existing(), batch.resets))
        options = {"count": exponents or None, "mask": mask, "resets": resets}
        spectrum = lyapunov_spectrum(model.cell, params, xs, **options).exponents
        return weight * jnp.mean(_wide(spectrum) ** 2)

    return Regularizer(penalty, before, until or None, one_device=True)


def _check_not_negative(**numbers: float) -> None:
    for name, number in numbers.items():
        if not 0 <= number < math.inf:
            raise ValueError(f"{name} must be at least 0, got {number}")


REGULARIZERS: dict[str, Callable[..., Regularizer]] = {"none": none, "omega": omega, "flossing": flossing}
