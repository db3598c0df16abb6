"""The trajectory of a cell as one vector equation with the Jacobians of its steps, for Newton's method."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from rnngen.cells import Cell
from rnngen.engines import trees
from rnngen.engines.derived import linearise
from rnngen.engines.recurrence import linear_recurrence, solve
from rnngen.engines.steps import StepInput, full_step, project
from rnngen.types import Array, Carry, Params

CHOICES = ("auto", "dense", "diagonal")
DENSE_LIMIT = 32


class Trajectory:
    """The equations c_t = f_t(c_{t-1}) for all t, with the floats of an example's carry as a vector of n numbers.

    dense: Jacobians `[t, *b, n, n]`, else their diagonals `[t, *b, n]`. exact: the Jacobians have no other entries.
    """

    def __init__(self, cell: Cell, params: Params, carry: Carry, inputs: StepInput, integers, dense, exact, block: int):
        self.cell, self.params, self.carry, self.inputs = cell, params, carry, inputs
        self.dense, self.exact, self.block = dense, exact, block
        self.integers = trees.entering(trees.others(carry), integers)
        self.projected, self.step = project(cell, params, inputs), full_step(cell)
        single = jax.eval_shape(lambda p: cell.init_carry(p, ()), params)
        self.tails = [leaf.shape for leaf in jax.tree.leaves(trees.floats(single))]
        self.first = self.flat(trees.floats(carry))

    def flat(self, tree: Carry) -> Array:
        """Flatten the floats of carries `[..., *b, ...]` to `[..., *b, n]`."""
        leaves = jax.tree.leaves(tree)
        wide = jnp.result_type(*leaves)
        vectors = [
            x.reshape(*x.shape[: x.ndim - len(tail)], -1).astype(wide)
            for x, tail in zip(leaves, self.tails, strict=True)
        ]
        return jnp.concatenate(vectors, axis=-1)

    def unflat(self, states: Array) -> Carry:
        """Invert `flat`."""
        structure: Any
        like, structure = jax.tree.flatten(trees.floats(self.carry))
        leaves, start = [], 0
        for leaf, tail in zip(like, self.tails, strict=True):
            size = math.prod(tail)
            part = states[..., start : start + size].reshape(*states.shape[:-1], *tail)
            leaves.append(part.astype(leaf.dtype))
            start += size
        return structure.unflatten(leaves)

    def constant_guess(self) -> Array:
        """Return the initial carry at every step, `[t, *b, n]`."""
        return jnp.broadcast_to(self.first, (trees.length(self.inputs), *self.first.shape))

    def before(self, states: Array) -> Array:
        """Return the states that enter the steps, given those that leave them."""
        return trees.entering(self.first, states)

    def after(self, before: Array) -> Array:
        """Apply f_t to each state that enters, for all t at once."""
        carry = trees.merge(self.unflat(before), self.integers)
        return self.flat(trees.floats(self.step(self.params, carry, self.projected)[0]))

    def error(self, states: Array) -> Array:
        """Return the largest |c_t - f_t(c_{t-1})|, relative to 1 + the largest |c|; inf where one is not finite."""
        difference = jnp.abs(states - self.after(self.before(states)))
        # jnp.max drops NaN on a CPU.
        finite = jnp.isfinite(difference).all()
        return jnp.where(finite, jnp.max(difference) / (1 + jnp.max(jnp.abs(states))), jnp.inf)

    def newton_step(self, states: Array, damping: Array) -> Array:
        """Solve the recurrence linearised around `states`, its Jacobians scaled by 1 - damping."""
        before = self.before(states)
        after, derivative = jax.linearize(self.after, before)
        jacobians = (1 - damping) * self._jacobians(derivative, before)
        return self._recurrence(jacobians, after - self._apply(jacobians, before), self.first)

    def gradients(self, carries: Carry, dcarries: Carry):
        """Return gradients in the floats of (params, carry, inputs), given those in the carries after the steps."""
        before = self.before(self.flat(carries))
        lefts = self._reverse(before, dcarries) if self.exact else self._reverse_in_turn(before, dcarries)
        entering = trees.merge(self.unflat(before), self.integers)

        def step(params, inputs):
            return self.step(params, entering, project(self.cell, params, inputs))[0]

        dparams, dinputs = trees.vjp(step, self.params, self.inputs)[1](lefts)
        first = jax.tree.map(lambda x: x[0], (entering, self.projected))
        _, pull = trees.vjp(lambda c: self.step(self.params, c, first[1])[0], first[0])
        return dparams, pull(jax.tree.map(lambda x: x[0], lefts))[0], dinputs

    def _reverse(self, before: Array, dcarries: Carry) -> Carry:
        """Solve lambda_t = dcarries_t + J_{t+1}^T lambda_{t+1}, a recurrence in reversed time."""
        _, derivative = jax.linearize(self.after, before)
        jacobians = self._jacobians(derivative, before)
        turned = jnp.swapaxes(jacobians, -1, -2) if self.dense else jacobians
        turned = jnp.concatenate([jnp.zeros_like(turned[:1]), jnp.flip(turned[1:], 0)])
        flipped = jnp.flip(self.flat(dcarries), 0)
        return self.unflat(jnp.flip(self._recurrence(turned, flipped, jnp.zeros_like(self.first)), 0))

    def _reverse_in_turn(self, before: Array, dcarries: Carry) -> Carry:
        """Do the same step by step, where whole Jacobians do not fit in memory."""
        carries = trees.merge(self.unflat(before), self.integers)
        linear = linearise(lambda c, i: (self.step(self.params, c, i)[0], None), carries, self.projected)

        def back(dbefore, parts):
            at_step, dcarry = parts
            dleft = trees.add(dcarry, dbefore)
            return linear.pull(at_step, dleft, None), dleft

        nothing = jax.tree.map(jnp.zeros_like, trees.floats(self.carry))
        return jax.lax.scan(back, nothing, (linear.residuals, dcarries), reverse=True)[1]

    def _jacobians(self, derivative: Callable[[Array], Array], at: Array) -> Array:
        n = at.shape[-1]
        column = lambda j: jnp.broadcast_to(jax.nn.one_hot(j, n, dtype=at.dtype), at.shape)  # noqa: E731
        if self.dense:
            return jax.vmap(lambda j: derivative(column(j)), out_axes=-1)(jnp.arange(n))
        if self.exact:
            return derivative(jnp.ones_like(at))
        diagonal = jax.lax.map(lambda j: jnp.take(derivative(column(j)), j, axis=-1), jnp.arange(n))
        return jnp.moveaxis(diagonal, 0, -1)

    def _apply(self, jacobians: Array, states: Array) -> Array:
        return _matvec(jacobians, states) if self.dense else jacobians * states

    def _recurrence(self, jacobians: Array, offsets: Array, first: Array) -> Array:
        if self.dense:
            return solve(_compose, _act, (jacobians, offsets), first, self.block)
        return linear_recurrence(jacobians, offsets, first, self.block)


def _matvec(matrix: Array, vector: Array) -> Array:
    return jnp.einsum("...ij,...j->...i", matrix, vector)


def _compose(later: Any, earlier: Any) -> Any:
    return later[0] @ earlier[0], _matvec(later[0], earlier[1]) + later[1]


def _act(element: Any, state: Array) -> Array:
    return _matvec(element[0], state) + element[1]
