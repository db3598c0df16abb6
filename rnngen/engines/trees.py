"""Trees with integer leaves in them, of which only the floats have gradients; and time cut into chunks."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero

from rnngen.types import PyTree


def floats(tree: PyTree) -> PyTree:
    """The tree with None in place of what has no gradient (integers, booleans, keys)."""
    return jax.tree.map(lambda x: x if is_float(x) else None, tree)


def others(tree: PyTree) -> PyTree:
    """What `floats` leaves out."""
    return jax.tree.map(lambda x: None if is_float(x) else x, tree)


def merge(some: PyTree, rest: PyTree) -> PyTree:
    """The tree whose parts these are: each leaf from `some`, or from `rest` where that is None there."""
    return jax.tree.map(lambda s, r: r if s is None else s, some, rest, is_leaf=lambda x: x is None)


def whole(gradients: PyTree) -> PyTree:
    """The tree with zeros in place of what JAX knows to be zero, as a `custom_vjp` with symbolic zeros gets it."""
    zeros = lambda g: jnp.zeros(g.shape, g.dtype) if isinstance(g, SymbolicZero) else g  # noqa: E731
    return jax.tree.map(zeros, gradients, is_leaf=lambda g: isinstance(g, SymbolicZero))


def is_float(x) -> bool:
    """Real or complex."""
    return jnp.issubdtype(x.dtype, jnp.inexact)


def count_reals(tree: PyTree) -> int:
    """How many real numbers there are in the floats of a tree; a complex one is two."""
    return sum(
        leaf.size * (2 if jnp.issubdtype(leaf.dtype, jnp.complexfloating) else 1)
        for leaf in jax.tree.leaves(floats(tree))
    )


def vjp(function, *trees: PyTree):
    """`jax.vjp` in the floats of each tree alone; the function may return other leaves too, which get no cotangent."""
    rests = [others(tree) for tree in trees]

    def of_floats(*parts):
        out = function(*map(merge, parts, rests))
        return floats(out), others(out)

    out, pull, rest = jax.vjp(of_floats, *map(floats, trees), has_aux=True)
    return merge(out, rest), pull


def cotangents(tree: PyTree, gradients: PyTree) -> PyTree:
    """`gradients` of the floats of `tree`, with the float0 zeros that JAX wants for the rest."""
    return merge(gradients, jax.tree.map(lambda x: np.zeros(x.shape, jax.dtypes.float0), others(tree)))


def add(tree: PyTree, other: PyTree) -> PyTree:
    """Leafwise sum in the dtype of the first; None stays."""
    return jax.tree.map(lambda a, b: a + b.astype(a.dtype), tree, other)


def length(tree: PyTree) -> int:
    """t, the leading axis."""
    return jax.tree.leaves(tree)[0].shape[0]


def entering(first: PyTree, leaving: PyTree) -> PyTree:
    """What enters each step: `first` `[...]`, then what leaves the step before, of `leaving` `[t, ...]`."""
    return jax.tree.map(lambda f, x: jnp.concatenate([f[None], x[:-1]]), first, leaving)


def chunked(tree: PyTree, chunk: int) -> tuple[PyTree, PyTree | None]:
    """`[t, ...]` -> (`[n, chunk, ...]`, the remaining `[t % chunk, ...]` or None)."""
    n, remainder = divmod(length(tree), chunk)
    whole = jax.tree.map(lambda x: x[: n * chunk].reshape(n, chunk, *x.shape[1:]), tree)
    return whole, jax.tree.map(lambda x: x[n * chunk :], tree) if remainder else None


def unchunked(whole: PyTree, rest: PyTree | None) -> PyTree:
    """The inverse of `chunked`."""
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), whole)
    return flat if rest is None else jax.tree.map(lambda a, b: jnp.concatenate([a, b]), flat, rest)


def chunk_size(steps: int, wanted: int) -> int:
    """The divisor of `steps` nearest to `wanted` if one lies within a factor of 1.6, else `wanted` itself."""
    near = [n for n in range(math.ceil(wanted / 1.6), min(steps, int(wanted * 1.6)) + 1) if steps % n == 0]
    return min(near, key=lambda n: abs(n - wanted), default=min(wanted, steps))
