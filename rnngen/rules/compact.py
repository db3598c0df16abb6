r"""An influence of one number for each parameter and array of its layer's carry.

Where every parameter reaches one unit in a step, and every unit itself alone, all that a parameter ever reaches is its
unit: with $B^{ij}_u$ the derivative of array i of the new carry in array j of the old one, at unit u,

$$J'^i_p = \sum_j B^{ij}_{u(p)} J^j_p + I^i_p. $$

B and I are both what one reverse pass gives from ones at all units of array i, since no two of them meet.
"""

import math

import jax
import jax.numpy as jnp

from rnngen.rules.influence import Influence, Jacobian, Reals
from rnngen.rules.reals import shapes
from rnngen.rules.units import Units
from rnngen.types import Array, Params, at_least_float32


def compact(units: Units, prepared: Params, carry: list) -> Influence:
    """Keep the influence of each parameter on its unit.

    Args:
      units: where each parameter reaches.
      prepared: the parameters, or their shapes.
      carry: the shapes of the real arrays of an example's carry.

    Returns:
      The influence: for each parameter `[arrays of its layer's carry, ...]`.
    """
    every = jax.tree.leaves(shapes(prepared))
    like = [every[place] for place in units.theta]
    leaves = [units.leaves[layer] for layer in units.layer]
    wide = [at_least_float32(jnp.zeros((), x.dtype)).dtype for x in like]

    def zeros() -> list[Array]:
        return [jnp.zeros((len(of), *x.shape), dtype) for of, x, dtype in zip(leaves, like, wide, strict=True)]

    def move(influence: list[Array], jacobian: Jacobian, key) -> list[Array]:
        immediate, among = jax.vmap(jacobian.pull)(_ones(units, carry))
        moved = []
        for old, new, unit, of in zip(influence, immediate, units.unit, leaves, strict=True):
            through = [among[leaf].reshape(len(new), -1)[: len(of), unit] for leaf in of]
            past = sum(b.astype(old.dtype) * j for b, j in zip(through, old, strict=True))
            moved.append(past + new[: len(of)].astype(old.dtype))
        return moved

    def pull(influence: list[Array], dcarry: Reals) -> Reals:
        flat = [x.reshape(-1) for x in dcarry]
        return [
            sum(flat[leaf][unit].astype(old.dtype) * j for leaf, j in zip(of, old, strict=True))
            for old, unit, of in zip(influence, units.unit, leaves, strict=True)
        ]

    size = sum(len(of) * math.prod(x.shape) for of, x in zip(leaves, like, strict=True))
    return Influence(units.theta, zeros, move, pull, size)


def _ones(units: Units, carry: list) -> Reals:
    """Return `[k, ...]` for each array of the carry: row i is of ones at array i of every layer."""
    rows = max(map(len, units.leaves))
    place = {leaf: number for of in units.leaves for number, leaf in enumerate(of)}
    at = [jnp.zeros((rows, 1), x.dtype).at[place[n]].set(1) for n, x in enumerate(carry)]
    return [
        jnp.broadcast_to(a.reshape(rows, *(1,) * len(x.shape)), (rows, *x.shape))
        for a, x in zip(at, carry, strict=True)
    ]
