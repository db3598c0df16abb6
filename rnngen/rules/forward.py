r"""The gradient of a rule that goes forward: no step is revisited, and what is past acts through the influence alone.

With the whole model as one cell, step t is $(\theta, c_t, x_t) \to (c_{t+1}, y_t)$, and

$$\frac{dL}{d\theta} = \sum_t \Big[\frac{\partial L_t}{\partial \theta} + \frac{\partial L_t}{\partial c_t} J_t\Big],
\quad J_t = \frac{d c_t}{d \theta}, $$

the first term through step t and the head alone. theta are the prepared parameters; the sum is pulled back through
`prepare` at the end.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnngen.cells import Cell
from rnngen.engines import cast_params, trees
from rnngen.engines.steps import StepInput, full_step, project
from rnngen.rules.influence import Influence, Jacobian, Reals
from rnngen.rules.reals import from_reals, to_reals
from rnngen.types import Array, Carry, Key, Params, PyTree, at_least_float32


class Running(NamedTuple):
    """What goes from a segment of the sequence to the next.

    Attributes:
      carry: `[*b, ...]` on each leaf.
      influence: of each example, `[*b, ...]` on each leaf; None where the rule has none.
    """

    carry: Carry
    influence: Any


class Forward(NamedTuple):
    """A rule that goes forward, on one cell.

    Attributes:
      cell: the whole model; its credit is the derivative that the rule sees.
      influence: how J is kept; None: J = 0.
    """

    cell: Cell
    influence: Influence | None

    def begin(self, params: Params, inputs: StepInput, carry: Carry, learned: bool, key: Key | None) -> Running:
        """Make the state before the first step.

        Args:
          params: not prepared.
          inputs: of all steps.
          carry: the initial one.
          learned: the carry comes from the parameters.
          key: for a rule that draws noise.

        Returns:
          The state.
        """
        if self.influence is None:
            return Running(carry, None)
        prepared, batch = self._prepare(params, inputs), _batch(self.cell, params, carry, inputs)
        zeros = self.influence.zeros()
        if not learned:
            return Running(carry, _repeated(zeros, batch))
        put, theta = _putting(prepared, self.influence.theta)
        at_start, pull = jax.vjp(lambda theta: to_reals(self.cell.init_carry(put(theta), ())), theta)
        none = [jnp.zeros_like(x) for x in at_start]
        start = Jacobian(lambda g: (pull(g)[0], none), lambda s: none)
        move = lambda key: self.influence.move(zeros, start, key)  # noqa: E731
        if key is None or not self.influence.noisy:
            return Running(carry, _repeated(move(None), batch))
        return Running(carry, over(len(batch), move)(jax.random.split(key, batch)))

    def segment(
        self, params: Params, running: Running, inputs: StepInput, loss: Callable, key: Key | None = None
    ) -> tuple[Params, Running, Any]:
        """Run some steps, and compute what their losses give.

        Args:
          params: not prepared.
          running: before these steps.
          inputs: of these steps, `[n, *b, ...]` on each leaf.
          loss: (ys `[n, *b, h]`) -> (scalar, anything).
          key: for a rule that draws noise.

        Returns:
          (gradient, state after these steps, what the loss returned besides).
        """
        cell, step = self.cell, full_step(self.cell)
        prepared, undo = trees.vjp(lambda p: self._prepare(p, inputs), params)

        def forward(carry, at_step):
            left, y = step(prepared, carry, project(cell, prepared, at_step))
            return left, (carry, y)

        last, (carries, ys) = jax.lax.scan(forward, running.carry, inputs)
        dys, aux = jax.grad(loss, has_aux=True)(ys)
        outputs = lambda p, c: step(p, from_reals(c, carries), project(cell, p, inputs))[1]  # noqa: E731
        gradient, dcarries = trees.vjp(outputs, prepared, to_reals(carries))[1](dys)
        influence = running.influence
        if self.influence is not None:
            influence, past = self._move(prepared, influence, (carries, inputs, dcarries), key)
            leaves, tree = jax.tree.flatten(gradient)
            for place, more in zip(self.influence.theta, past, strict=True):
                leaves[place] = leaves[place] + more.astype(leaves[place].dtype)
            gradient = jax.tree.unflatten(tree, leaves)
        return undo(gradient)[0], Running(last, influence), aux

    def _move(self, prepared: Params, influence: Any, steps: tuple, key: Key | None) -> tuple[Any, Reals]:
        """Return the influence after these steps, and the sum over them of what comes from before each."""
        rule, step = self.influence, full_step(self.cell)
        assert rule is not None
        put, theta = _putting(prepared, rule.theta)
        batch = jax.tree.leaves(influence)[0].shape[: _batch_axes(rule.zeros(), influence)]

        def example(influence, carry, inputs, key):
            def moved(theta, parts):
                p = put(theta)
                return to_reals(step(p, from_reals(parts, carry), project(self.cell, p, inputs))[0])

            at = to_reals(carry)
            _, pull = jax.vjp(moved, theta, at)
            push = lambda s: jax.jvp(lambda parts: moved(theta, parts), (at,), (s,))[1]  # noqa: E731
            return rule.move(influence, Jacobian(pull, push), key)

        def one(state, at_step):
            (influence, total), (carry, inputs, dcarry, key) = state, at_step
            given = over(len(batch), rule.pull)(influence, dcarry)
            total = [old + new.sum(axis=range(len(batch))) for old, new in zip(total, given, strict=True)]
            keys = None if key is None else jax.random.split(key, batch)
            return (over(len(batch), example)(influence, carry, inputs, keys), total), None

        nothing = [at_least_float32(jnp.zeros_like(x)) for x in theta]
        keys = jax.random.split(key, trees.length(steps[0])) if rule.noisy and key is not None else None
        return jax.lax.scan(one, (influence, nothing), (*steps, keys))[0]

    def _prepare(self, params: Params, inputs: StepInput) -> Params:
        return cast_params(self.cell.prepare(params), inputs.u)


def over(axes: int, function: Callable) -> Callable:
    """Map a function over leading axes.

    Args:
      axes: their number.
      function: of one example.

    Returns:
      The function of all.
    """
    for _ in range(axes):
        function = jax.vmap(function)
    return function


def _putting(prepared: Params, places: tuple[int, ...]) -> tuple[Callable[[Reals], Params], Reals]:
    """Return (function that puts other values in these places of the parameters, the values there)."""
    leaves, tree = jax.tree.flatten(prepared)

    def put(theta: Reals) -> Params:
        new = list(leaves)
        for place, x in zip(places, theta, strict=True):
            new[place] = x
        return jax.tree.unflatten(tree, new)

    return put, [leaves[place] for place in places]


def _batch(cell: Cell, params: Params, carry: Carry, inputs: StepInput) -> tuple[int, ...]:
    single = jax.eval_shape(lambda p: cell.init_carry(cell.prepare(p), ()), params)
    one, whole = jax.tree.leaves(single)[0], jax.tree.leaves(carry)[0]
    return whole.shape[: whole.ndim - one.ndim]


def _batch_axes(single: PyTree, whole: PyTree) -> int:
    return jax.tree.leaves(whole)[0].ndim - jax.tree.leaves(single)[0].ndim


def _repeated(tree: PyTree, batch: tuple[int, ...]) -> PyTree:
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (*batch, *x.shape)), tree)


def flat_sizes(parts: Reals) -> list[int]:
    """Count the numbers of each array.

    Args:
      parts: arrays, or their shapes.

    Returns:
      The counts.
    """
    return [math.prod(x.shape) for x in parts]


def flat(parts: Reals, axes: int = 0) -> Array:
    """Join arrays of the same leading axes to one of vectors.

    Args:
      parts: the arrays.
      axes: number of the leading axes.

    Returns:
      `[*leading, n]`, in float32 at least.
    """
    return jnp.concatenate([at_least_float32(x).reshape(*x.shape[:axes], -1) for x in parts], axis=-1)


def unflat(vectors: Array, like: Reals) -> Reals:
    """Invert `flat`.

    Args:
      vectors: `[*leading, n]`.
      like: arrays, or their shapes, without the leading axes.

    Returns:
      The arrays, in the dtypes of `like`.
    """
    parts, start = [], 0
    for x, size in zip(like, flat_sizes(like), strict=True):
        part = vectors[..., start : start + size].reshape(*vectors.shape[:-1], *x.shape)
        parts.append(part.astype(x.dtype))
        start += size
    return parts
