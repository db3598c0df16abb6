"""Helpers for trees of which only the float leaves have gradients, and for cutting time into chunks."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero

from rnngen.types import PyTree


def floats(tree: PyTree) -> PyTree:
    """Replace leaves without a gradient (integers, booleans, keys) by None."""
    return jax.tree.map(lambda x: x if is_float(x) else None, tree)


def others(tree: PyTree) -> PyTree:
    """Replace the float leaves by None."""
    return jax.tree.map(lambda x: None if is_float(x) else x, tree)


def merge(some: PyTree, rest: PyTree) -> PyTree:
    """Merge two parts of a tree: each leaf is taken from `some`, or from `rest` where `some` holds None."""
    return jax.tree.map(lambda s, r: r if s is None else s, some, rest, is_leaf=lambda x: x is None)


def whole(gradients: PyTree) -> PyTree:
    """Replace the symbolic zeros that a `custom_vjp` may receive by arrays of zeros."""
    zeros = lambda g: jnp.zeros(g.shape, g.dtype) if isinstance(g, SymbolicZero) else g  # noqa: E731
    return jax.tree.map(zeros, gradients, is_leaf=lambda g: isinstance(g, SymbolicZero))


def is_float(x) -> bool:
    """Return True for real and complex floats."""
    return jnp.issubdtype(x.dtype, jnp.inexact)


def count_reals(tree: PyTree) -> int:
    """Count the real numbers in the floats of a tree; a complex number counts as two."""
    return sum(
        leaf.size * (2 if jnp.issubdtype(leaf.dtype, jnp.complexfloating) else 1)
        for leaf in jax.tree.leaves(floats(tree))
    )


def vjp(function, *trees: PyTree):
    """Apply `jax.vjp` in the floats of each tree; other leaves that the function returns get no cotangent."""
    rests = [others(tree) for tree in trees]

    def of_floats(*parts):
        out = function(*map(merge, parts, rests))
        return floats(out), others(out)

    out, pull, rest = jax.vjp(of_floats, *map(floats, trees), has_aux=True)
    return merge(out, rest), pull


def cotangents(tree: PyTree, gradients: PyTree) -> PyTree:
    """Complete `gradients` in the floats of `tree` by the float0 zeros that JAX wants for the rest."""
    return merge(gradients, jax.tree.map(lambda x: np.zeros(x.shape, jax.dtypes.float0), others(tree)))


def add(tree: PyTree, other: PyTree) -> PyTree:
    """Add trees leaf by leaf, in the dtype of the first; None stays None."""
    return jax.tree.map(lambda a, b: a + b.astype(a.dtype), tree, other)


def length(tree: PyTree) -> int:
    """Return t, the size of the leading axis."""
    return jax.tree.leaves(tree)[0].shape[0]


def entering(first: PyTree, leaving: PyTree) -> PyTree:
    """Shift `leaving` `[t, ...]` by a step, `first` `[...]` in front: the carries that enter the steps."""
    return jax.tree.map(lambda f, x: jnp.concatenate([f[None], x[:-1]]), first, leaving)


def chunked(tree: PyTree, chunk: int) -> tuple[PyTree, PyTree | None]:
    """Cut `[t, ...]` into (`[n, chunk, ...]`, the remaining `[t % chunk, ...]` or None)."""
    n, remainder = divmod(length(tree), chunk)
    whole = jax.tree.map(lambda x: x[: n * chunk].reshape(n, chunk, *x.shape[1:]), tree)
    return whole, jax.tree.map(lambda x: x[n * chunk :], tree) if remainder else None


def unchunked(whole: PyTree, rest: PyTree | None) -> PyTree:
    """Invert `chunked`."""
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), whole)
    return flat if rest is None else jax.tree.map(lambda a, b: jnp.concatenate([a, b]), flat, rest)


def chunk_size(steps: int, wanted: int) -> int:
    """Return the divisor of `steps` nearest to `wanted` if one lies within a factor of 1.6, else `wanted`."""
    near = [n for n in range(math.ceil(wanted / 1.6), min(steps, int(wanted * 1.6)) + 1) if steps % n == 0]
    return min(near, key=lambda n: abs(n - wanted), default=min(wanted, steps))
