"""The reverse pass of a `Credit.window`: the loss at each step reaches a number of steps, and none before these.

Gradients that come from different steps must be cut at different places, so the gradient in the carry is held apart by
its age, the number of steps since its loss, and all ages are pulled back together.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnngen.cells import Cell
from rnngen.engines import trees
from rnngen.engines.derived import Derived, linearise
from rnngen.engines.reverse import Residuals
from rnngen.engines.steps import StepInput, project
from rnngen.types import Carry, Params


class _Kept(NamedTuple):
    params: Params
    carry: Carry
    inputs: StepInput
    residuals: Residuals


def windowed(alone: Callable, cell: Cell, params: Params, carry: Carry, inputs: StepInput):
    """Run a cell whose credit has a window: by the engine `alone` where no gradient is taken."""
    method, ages = Derived(cell), min(cell.credit.window, trees.length(inputs))

    @jax.custom_vjp
    def run(params, carry, inputs):
        return alone(cell, params, carry, inputs)[:2]

    def forward(params, carry, inputs):
        last, ys, residuals = method.forward(params, carry, inputs)
        return (last, ys), _Kept(params, carry, inputs, residuals)

    def backward(kept: _Kept, gradients):
        return _backward(method, ages, kept, *map(trees.floats, gradients))

    run.defvjp(forward, backward)
    return *run(params, carry, inputs), {}


def _backward(method: Derived, ages: int, kept: _Kept, dlast: Carry, dys):
    """Return the gradients in (params, carry, inputs)."""
    params, carry, inputs, residuals = kept
    before = trees.entering(carry, residuals.carries)
    projected = project(method.cell, params, inputs)
    linear = linearise(lambda c, i: method.step(params, c, i), before, projected)

    def back(aged, parts):
        at_step, dy = parts
        # What the step's own loss gives, and what comes from each later one that still may reach it.
        given = jax.tree.map(lambda d: jnp.concatenate([jnp.zeros((1, *d.shape[1:]), d.dtype), d]), aged)
        own = jax.tree.map(lambda d: jnp.zeros((ages, *d.shape), d.dtype).at[0].set(d), dy)
        pulled = jax.vmap(linear.pull, in_axes=(None, 0, 0))(at_step, given, own)
        return jax.tree.map(lambda d: d[: ages - 1], pulled), jax.tree.map(lambda d: d.sum(axis=0), aged)

    # The last carry may have a loss of its own, one step after the last.
    start = jax.tree.map(lambda d: jnp.zeros((ages - 1, *d.shape), d.dtype).at[:1].set(d[None]), dlast)
    aged, dlefts = jax.lax.scan(back, start, (linear.residuals, dys), reverse=True)
    _, pull = trees.vjp(lambda p, i: method.step(p, before, project(method.cell, p, i)), params, inputs)
    dparams, dinputs = pull((dlefts, dys))
    dcarry = jax.tree.map(lambda d: d.sum(axis=0), aged)
    return tuple(map(trees.cotangents, (params, carry, inputs), (dparams, dcarry, dinputs)))
