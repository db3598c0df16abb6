"""Checks of structure: the properties that a cell declares for faster engines hold."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from rnngen.cells import Affine, Cell, Gated
from rnngen.cells.cell import KERNEL, no_observation
from rnngen.engines import trees
from rnngen.testing.case import Broken, Case, noise, quick_jit, same
from rnngen.testing.contract import observe
from rnngen.types import PyTree


def gated(case: Case) -> None:
    """Gated: a step is combine after one product with the recurrent kernel, which combine does not read."""
    structure: Any = case.cell.structure
    params, carry, u = case.at_a_step()
    without = {name: value for name, value in params.items() if name != KERNEL}
    if KERNEL not in params:
        raise Broken(f"the parameters have no {KERNEL!r}, but {', '.join(sorted(params))}")
    try:
        combined = structure.combine(without, carry, u, structure.hidden(carry) @ params[KERNEL])
    except KeyError as error:
        raise Broken(f"combine reads {error}") from error
    same("(carry, y) of combine", combined, case.cell.step(params, carry, u))


def pointwise(case: Case) -> None:
    """Gated with pointwise=True: feature i of what combine gives depends on feature i of the carry alone."""
    structure: Any = case.cell.structure
    params, carry, u = _single(case)
    product = structure.hidden(carry) @ params[KERNEL]
    jacobian = jax.jacobian(lambda c: structure.combine(params, c, u, product))
    for path, leaf in jax.tree_util.tree_leaves_with_path(quick_jit(jacobian)(carry)):
        _diagonal(f"d(carry, y){jax.tree_util.keystr(path)}", np.asarray(leaf))


def affine(case: Case) -> None:
    """Affine: act on the carry and then readout is the step, and compose is act after act."""
    structure: Any = case.cell.structure
    params, carry, u = case.at_a_step()
    other = case.cell.project(params, noise(case.xs[0].shape, 4, jnp.float64))
    first, second = structure.terms(params, u), structure.terms(params, other)
    moved = structure.act(first, carry)
    read = moved, structure.readout(params, moved, u)
    same("(carry, y) of act and readout", read, case.cell.step(params, carry, u))
    both = structure.act(structure.compose(second, first), carry)
    same("act(compose(later, earlier), carry)", both, structure.act(second, moved))


def diagonal(case: Case) -> None:
    """diagonal=True: number i of the new carry depends on number i of the old one alone."""
    _diagonal("dcarry'/dcarry", carry_jacobian(case))


def carry_jacobian(case: Case) -> np.ndarray:
    """Return the Jacobian of one step in the floats of the carry, `[n, n]`."""
    params, carry, u = _single(case)
    flat, unflat = ravel_pytree(trees.floats(carry))

    def forward(flat):
        after = case.cell.step(params, trees.merge(unflat(flat), trees.others(carry)), u)[0]
        return ravel_pytree(trees.floats(after))[0]

    return np.asarray(quick_jit(jax.jacfwd(forward, holomorphic=jnp.iscomplexobj(flat)))(flat))


def _single(case: Case) -> tuple[PyTree, PyTree, PyTree]:
    """Return `at_a_step` for one example."""
    alone = type(case)(case.cell, case.sizes._replace(batch=()))
    return alone.at_a_step()


def _diagonal(what: str, jacobian: np.ndarray) -> None:
    """Raise Broken for a number of a square array that is off its diagonal and not zero."""
    if jacobian.ndim != 2 or jacobian.shape[0] != jacobian.shape[1]:
        raise Broken(f"{what} is {list(jacobian.shape)}, not square")
    off = np.abs(jacobian - np.diag(np.diag(jacobian)))
    row, column = np.unravel_index(np.argmax(off), off.shape)
    if off[row, column] > 0:
        raise Broken(f"{what}[{row}, {column}] is {jacobian[row, column]:.6g} instead of 0")


# The property that a cell must declare for a check to apply.
CLAIMS: dict[Callable[[Case], None], Callable[[Cell], bool]] = {
    gated: lambda cell: isinstance(cell.structure, Gated),
    pointwise: lambda cell: isinstance(cell.structure, Gated) and cell.structure.pointwise,
    affine: lambda cell: isinstance(cell.structure, Affine),
    diagonal: lambda cell: cell.diagonal,
    observe: lambda cell: cell.observe is not no_observation,
}
