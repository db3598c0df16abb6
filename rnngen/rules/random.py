"""A control: the immediate gradient, and beyond it a random direction of the norm that back-propagation has there."""

import jax
import jax.numpy as jnp

from rnngen.rules.local import whole_cell
from rnngen.rules.rule import Rule
from rnngen.types import Key, Params


def random() -> Rule:
    """Replace all that comes through the carry by a random direction of the same norm, parameter by parameter.

    Returns:
      The rule.
    """
    return Rule("random", whole_cell, disturb=_disturbed)


def _disturbed(key: Key, gradient: Params, immediate: Params) -> Params:
    leaves, tree = jax.tree.flatten(gradient)
    keys = jax.random.split(key, len(leaves))
    firsts = jax.tree.leaves(immediate)
    return jax.tree.unflatten(tree, [_one(*part) for part in zip(keys, leaves, firsts, strict=True)])


def _one(key: Key, gradient, immediate):
    direction = jax.random.normal(key, gradient.shape, gradient.dtype)
    return immediate + direction * (_norm(gradient - immediate) / _norm(direction))


def _norm(x):
    return jnp.sqrt(jnp.sum(x**2))
