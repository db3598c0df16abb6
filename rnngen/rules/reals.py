"""A carry as a list of real arrays, so that all derivatives are real: a complex leaf is two, a whole number none."""

from typing import Any

import jax
import jax.numpy as jnp

from rnngen.engines import trees
from rnngen.types import Array, Carry, PyTree


def to_reals(carry: Carry) -> list[Array]:
    """Take a carry apart.

    Args:
      carry: any tree of arrays.

    Returns:
      Its real arrays, in JAX's order of the leaves.
    """
    return [part for leaf in jax.tree.leaves(carry) for part in _parts(leaf)]


def from_reals(parts: list[Array], like: Carry) -> Carry:
    """Invert `to_reals`.

    Args:
      parts: the real arrays.
      like: a carry of this structure, with the leaves that have no gradient.

    Returns:
      The carry.
    """
    left = iter(parts)

    def leaf(x: Any) -> Any:
        if jnp.issubdtype(x.dtype, jnp.complexfloating):
            return jax.lax.complex(next(left), next(left))
        return next(left) if trees.is_float(x) else x

    return jax.tree.map(leaf, like)


def _parts(leaf: Any) -> list[Array]:
    if jnp.issubdtype(leaf.dtype, jnp.complexfloating):
        return [leaf.real, leaf.imag]
    return [leaf] if trees.is_float(leaf) else []


def shapes(tree: PyTree) -> PyTree:
    """Return the shapes and dtypes of a tree of arrays.

    Args:
      tree: of arrays, or of shapes.

    Returns:
      A tree of `jax.ShapeDtypeStruct`.
    """
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), tree)
