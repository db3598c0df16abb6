r"""Real-time recurrent learning (Williams and Zipser 1989): the whole influence of each example, J' = D J + I. Exact.

It takes n P numbers an example and n^2 P products a step, n the numbers in the carry, P those of the parameters that
reach it. Where each unit of a single layer sees itself alone, J is kept without its zeros (Mozer 1989): as many numbers
as there are parameters, for each array of the carry.
"""

import math

import jax
import jax.numpy as jnp

from rnngen.cells import Cell
from rnngen.engines import trees
from rnngen.engines.dependence import depends
from rnngen.engines.steps import StepInput, full_step, project
from rnngen.rules.compact import compact
from rnngen.rules.forward import flat, unflat
from rnngen.rules.influence import Influence, Jacobian, Reals
from rnngen.rules.local import Stepping, layers_of, own, whole_cell
from rnngen.rules.online import check_every
from rnngen.rules.reals import shapes, to_reals
from rnngen.rules.rule import Rule
from rnngen.rules.units import ManyUnitsError, find_units
from rnngen.types import Array, Params, PyTree, at_least_float32


def rtrl(update_every: int = 0, dense: bool = False) -> Rule:
    """Carry the exact influence of the parameters forward.

    Args:
      update_every: steps after which the parameters are updated, within a sequence; 0: once, at its end.
      dense: keep the zeros of J too, where a cell's Jacobian is diagonal.

    Returns:
      The rule.

    Raises:
      ValueError: update_every is negative.
    """
    check_every(update_every)
    return Rule("rtrl", whole_cell, _dense if dense else _influence, update_every)


def reaching(cell: Cell, xs: PyTree, prepared: Params) -> tuple[int, ...]:
    """Find the prepared parameters that reach the carry: all but those of the head, and the like.

    Args:
      cell: the whole model.
      xs: inputs `[t, *b, d]`, or tokens `[t, *b]`, or their shapes.
      prepared: the parameters, or their shapes.

    Returns:
      Their places among the leaves.
    """
    step = full_step(cell)
    leaves, tree = jax.tree.flatten(shapes(prepared))
    one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[-1:] if trees.is_float(x) else (), x.dtype), xs)

    def moved(leaves, x):
        p = jax.tree.unflatten(tree, leaves)
        start = cell.init_carry(p, ())
        return to_reals((start, step(p, start, project(cell, p, StepInput(x)))[0]))

    jaxpr = jax.make_jaxpr(moved)(leaves, one).jaxpr
    marks = lambda place: [n == place for n in range(len(jaxpr.invars))]  # noqa: E731
    return tuple(place for place in range(len(leaves)) if any(depends(jaxpr, marks(place))))


def _influence(model: Stepping, xs: PyTree, prepared: Params, carry: list) -> Influence:
    cells = list(layers_of(model).values())
    if len(cells) == 1 and cells[0].diagonal:
        try:
            units = find_units(model, own, xs)
        except ManyUnitsError:
            return _dense(model, xs, prepared, carry)
        # An embedding reaches the carry from below its layer.
        if units.theta == reaching(whole_cell(model), xs, prepared):
            return compact(units, prepared, carry)
    return _dense(model, xs, prepared, carry)


def _dense(model: Stepping, xs: PyTree, prepared: Params, carry: list) -> Influence:
    places = reaching(whole_cell(model), xs, prepared)
    leaves = jax.tree.leaves(shapes(prepared))
    like, single = [leaves[place] for place in places], shapes(carry)
    n, size = (sum(math.prod(x.shape) for x in part) for part in (single, like))
    dtype = at_least_float32(jnp.zeros((), single[0].dtype)).dtype

    def move(influence: Array, jacobian: Jacobian, key) -> Array:
        immediate, among = jax.vmap(jacobian.pull)(unflat(jnp.eye(n, dtype=dtype), single))
        return flat(among, 1) @ influence + flat(immediate, 1)

    def pull(influence: Array, dcarry: Reals) -> Reals:
        return unflat(flat(dcarry) @ influence, like)

    return Influence(places, lambda: jnp.zeros((n, size), dtype), move, pull, n * size)
