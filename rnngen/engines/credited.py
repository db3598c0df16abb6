"""A step whose gradient in the carry is changed by the cell's `Credit`; for its window see `windowed`."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from rnngen.cells import Cell
from rnngen.engines import trees
from rnngen.types import Array, Carry, Params, PyTree


def credited_step(cell: Cell) -> Callable:
    """Return the step `(params, carry, u) -> (carry, y)`, its gradient in the carry as the cell's credit has it."""
    credit = cell.credit
    if credit is None or not (credit.step or credit.scale or credit.keep_norm):
        return cell.step
    if credit.step is not None:
        return credit.step

    def step(params: Params, carry: Carry, u: PyTree):
        return cell.step(params, scaled(cell, carry), u)

    return _keeping_norm(cell, step) if credit.keep_norm else step


def scaled(cell: Cell, carry: Carry) -> Carry:
    """Return the carry, with the gradient in each leaf multiplied by the factor of the cell's credit."""
    if cell.credit is None or not cell.credit.scale:
        return carry
    factors = jax.tree.unflatten(jax.tree.structure(carry), cell.credit.factors(carry))
    return scale_gradient(factors, carry)


def scale_gradient(factors: PyTree, tree: PyTree) -> PyTree:
    """Return the tree, with the gradient in each leaf multiplied by its factor; factors are numbers or arrays."""
    return jax.tree.map(lambda factor, x: _scaled(factor, x) if trees.is_float(x) else x, factors, tree)


def change(cell: Cell, dentering: Carry, dleaving: Carry, dy: PyTree) -> Carry:
    """Return what a cell's credit makes of the gradient in the carry that enters a step; floats only.

    dleaving, dy: the gradients in the carry that leaves it and in its output.
    """
    credit = cell.credit
    if credit is None:
        return dentering
    if credit.scale:
        leaves, tree = jax.tree.flatten(dentering)
        factors = credit.factors(dentering)
        dentering = jax.tree.unflatten(tree, [f * x for f, x in zip(factors, leaves, strict=True)])
    return _to_norm(dentering, (dleaving, dy), _batch(dy)) if credit.keep_norm else dentering


@jax.custom_vjp
def _scaled(factor: Array | float, x: Array) -> Array:
    return x


_scaled.defvjp(lambda factor, x: (x, factor), lambda factor, dx: (jnp.zeros_like(factor), factor * dx))


def _keeping_norm(cell: Cell, step: Callable) -> Callable:
    @jax.custom_vjp
    def run(params, carry, u):
        return step(params, carry, u)

    def forward(params, carry, u):
        return jax.vjp(step, params, carry, u)

    def backward(pull, gradients):
        dparams, dcarry, du = pull(gradients)
        floats = jax.tree.map(lambda d: None if d.dtype == jax.dtypes.float0 else d, (dcarry, gradients))
        changed = _to_norm(floats[0], floats[1], _batch(gradients[1]))
        return dparams, trees.merge(changed, dcarry), du

    run.defvjp(forward, backward)
    return run


def _batch(ys: PyTree) -> int:
    """Return the number of axes before the features of an output `[..., h]`."""
    return jax.tree.leaves(ys)[0].ndim - 1


def _to_norm(tree: PyTree, like: PyTree, axes: int) -> PyTree:
    """Scale a tree of `[*b, ...]` to the norm of another, for each example; what is 0 stays 0."""
    norm, wanted = (_norm(part, axes) for part in (tree, like))
    factor = jnp.where(norm > 0, wanted / jnp.where(norm > 0, norm, 1), 0)
    return jax.tree.map(lambda x: x * factor.reshape(*factor.shape, *(1,) * (x.ndim - axes)).astype(x.dtype), tree)


def _norm(tree: PyTree, axes: int) -> Array:
    """Return the norm over all leaves `[*b, ...]` -> `[*b]`; no square leaves the range of floats."""
    flat = [jnp.abs(x).reshape(*x.shape[:axes], -1) for x in jax.tree.leaves(tree)]
    largest = functools.reduce(jnp.maximum, [x.max(axis=-1, initial=0) for x in flat])
    safe = jnp.where(largest > 0, largest, 1)
    return largest * jnp.sqrt(sum(((x / safe[..., None]) ** 2).sum(axis=-1) for x in flat))
