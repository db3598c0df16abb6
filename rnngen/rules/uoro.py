r"""Unbiased online recurrent optimisation (Tallec and Ollivier 2017): J as one outer product, right on average.

With random signs $\nu$, anew at each step and for each example, $J \approx s \otimes r$ moves by

$$s' = \rho_0 D s + \rho_1 \nu, \quad r' = r / \rho_0 + \nu I / \rho_1, \quad
\rho_0 = \sqrt{|r| / |D s|}, \quad \rho_1 = \sqrt{|\nu I| / |\nu|}, $$

where the factors make the variance least. n + P numbers an example, and the cost of a forward and a reverse pass.
"""

import math

import jax
import jax.numpy as jnp

from rnngen.rules.forward import flat, unflat
from rnngen.rules.influence import Influence, Jacobian, Reals
from rnngen.rules.local import Stepping, whole_cell
from rnngen.rules.online import check_every
from rnngen.rules.reals import from_reals, shapes, to_reals
from rnngen.rules.rtrl import reaching
from rnngen.rules.rule import Rule
from rnngen.types import Array, Carry, Key, Params, PyTree, at_least_float32


def uoro(update_every: int = 0) -> Rule:
    """Carry a noisy influence of rank one forward, whose mean is the exact one.

    Args:
      update_every: steps after which the parameters are updated, within a sequence; 0: once, at its end.

    Returns:
      The rule.

    Raises:
      ValueError: update_every is negative.
    """
    check_every(update_every)
    return Rule("uoro", whole_cell, _influence, update_every, estimate=_estimate)


def _influence(model: Stepping, xs: PyTree, prepared: Params, carry: list) -> Influence:
    places = reaching(whole_cell(model), xs, prepared)
    leaves = jax.tree.leaves(shapes(prepared))
    like, single = [leaves[place] for place in places], shapes(carry)
    n, size = (sum(math.prod(x.shape) for x in part) for part in (single, like))
    dtype = at_least_float32(jnp.zeros((), single[0].dtype)).dtype

    def move(influence: tuple[Array, Array], jacobian: Jacobian, key: Key) -> tuple[Array, Array]:
        s, r = influence
        signs = jax.random.rademacher(key, (n,), dtype)
        moved = flat(jacobian.push(unflat(s, single)))
        immediate = flat(jacobian.pull(unflat(signs, single))[0])
        old, new = _balanced(moved, r), _balanced(signs, immediate)
        return old[0] + new[0], old[1] + new[1]

    def pull(influence: tuple[Array, Array], dcarry: Reals) -> Reals:
        s, r = influence
        return unflat(jnp.vdot(flat(dcarry), s) * r, like)

    return Influence(places, lambda: (jnp.zeros(n, dtype), jnp.zeros(size, dtype)), move, pull, n + size, noisy=True)


def _balanced(s: Array, r: Array) -> tuple[Array, Array]:
    """Scale the factors of an outer product to the same norm; where one is zero, both become zero."""
    norms = jnp.linalg.norm(s), jnp.linalg.norm(r)
    some = (norms[0] > 0) & (norms[1] > 0)
    rho = jnp.sqrt(jnp.where(some, norms[1], 1) / jnp.where(some, norms[0], 1))
    return jnp.where(some, rho * s, 0), jnp.where(some, r / rho, 0)


def _estimate(key: Key, dleaving: Carry, axes: int) -> Carry:
    """Return (g . nu) nu for the gradient g in each example's carry: g on average."""
    parts = to_reals(dleaving)
    keys = jax.random.split(key, len(parts))
    signs = [jax.random.rademacher(k, x.shape, x.dtype) for k, x in zip(keys, parts, strict=True)]
    products = [(x * s).reshape(*x.shape[:axes], -1) for x, s in zip(parts, signs, strict=True)]
    along = jnp.concatenate(products, axis=-1).sum(axis=-1)
    seen = [along.reshape(*along.shape, *(1,) * (s.ndim - axes)) * s for s in signs]
    return from_reals(seen, dleaving)
