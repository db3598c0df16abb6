"""The steps of a cell as maps on vectors, and products of their Jacobians with vectors, without storing Jacobians."""

import functools

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from rnngen.cells import Cell
from rnngen.engines import batch_shape, prepare_unroll, trees, unroll
from rnngen.engines.steps import StepInput, enter, full_step, project
from rnngen.types import Array, Carry, Params, PyTree


class VectorSteps:
    """A cell along a sequence, the floats of each example's carry seen as a vector of n real numbers.

    Complex leaves count as two reals; integer leaves go along but are no part of the vector. With J the Jacobian of
    a step (reset, step and mask) at the carry that enters it, `push` gives J v and `pull` J^T v.

    Attributes:
      carry: the first carry `[*b, ...]`.
      inputs: the projected inputs of all steps `[t, *b, ...]`.
      batch, length: the batch axes and t.
      size: n.
      dtype: of the vectors, at least float32.
    """

    def __init__(
        self,
        cell: Cell,
        params: Params,
        xs: PyTree,
        carry: Carry | None = None,
        *,
        mask: Array | None = None,
        resets: Array | None = None,
    ):
        self._unroll = functools.partial(unroll, cell, params, xs, carry, mask=mask, resets=resets)
        run = prepare_unroll(cell, params, xs, carry, mask=mask, resets=resets)
        self.cell, self.params, self.carry = run.cell, run.params, run.carry
        self.inputs = project(run.cell, run.params, run.inputs)
        self.batch, self.length = batch_shape(xs, mask, resets), trees.length(self.inputs)
        leaves = jax.tree.leaves(trees.floats(self.carry))
        wide = any(jnp.finfo(leaf.dtype).bits == 64 for leaf in leaves)
        self.dtype = jnp.dtype("float64" if wide else "float32")
        example = jax.eval_shape(lambda p: self.cell.init_carry(p, ()), self.params)
        self.size = jax.eval_shape(lambda c: self._split(c)[0], example).size

    def enter(self, carry: Carry, inputs: StepInput) -> Carry:
        """Return the carry from which the step starts: reset where a sequence begins."""
        return enter(self.cell, self.params, carry, inputs)

    def advance(self, carry: Carry, inputs: StepInput) -> Carry:
        """Return the carry that leaves the step."""
        return full_step(self.cell)(self.params, carry, inputs)[0]

    def entering(self) -> Carry:
        """Return the carry that enters each step, `[t, *b, ...]`."""
        return self._unroll(record=lambda params, carry, inputs, after: carry)[2]

    def leaving(self) -> Carry:
        """Return the carry that leaves each step, `[t, *b, ...]`."""
        return self._unroll(record=lambda params, carry, inputs, after: after)[2]

    def push(self, carry: Carry, inputs: StepInput, columns: Array) -> tuple[Carry, Array]:
        """Return the carry that leaves the step, and J times each of the columns `[*b, n, k]`."""
        return over(len(self.batch), self._push)(carry, inputs, columns)

    def pull(self, carry: Carry, inputs: StepInput, columns: Array) -> Array:
        """Return J^T times each of the columns `[*b, n, k]`."""
        return over(len(self.batch), self._pull)(carry, inputs, columns)

    def vector_step(self, carry, inputs):
        """Return the vector `[n]` of one example's carry, and its step as (vector) -> (vector, carry)."""
        start, join = self._split(carry)

        def step(vector):
            after = self.advance(join(vector), inputs)
            return self._split(after)[0], after

        return start, step

    def _push(self, carry, inputs, columns):
        start, step = self.vector_step(carry, inputs)
        along = jax.vmap(lambda v: jax.jvp(step, (start,), (v,), has_aux=True), in_axes=1, out_axes=(None, 1, None))
        _, pushed, after = along(columns)
        return after, pushed

    def _pull(self, carry, inputs, columns):
        start, step = self.vector_step(carry, inputs)
        _, back, _ = jax.vjp(step, start, has_aux=True)
        return jax.vmap(lambda v: back(v)[0], in_axes=1, out_axes=1)(columns)

    def vector(self, carry: Carry) -> Array:
        """Return carries `[*t, *b, ...]` as vectors `[*t, *b, n]`."""
        leaf = jax.tree.leaves(trees.floats(carry))[0]
        example = jax.tree.leaves(trees.floats(jax.eval_shape(lambda p: self.cell.init_carry(p, ()), self.params)))[0]
        return over(leaf.ndim - example.ndim, lambda c: self._split(c)[0])(carry)

    def _split(self, carry):
        """Return the vector of one example's carry, and its inverse (vector) -> carry."""
        floats = trees.floats(carry)
        vector, unravel = ravel_pytree(jax.tree.map(lambda x: _as_real(x).astype(self.dtype), floats))

        def join(vector):
            parts = jax.tree.map(lambda part, like: _as(part, like.dtype), unravel(vector), floats)
            return trees.merge(parts, trees.others(carry))

        return vector, join


def over(axes: int, function):
    """Map a function of one example over so many leading batch axes."""
    for _ in range(axes):
        function = jax.vmap(function)
    return function


def _as_real(leaf: Array) -> Array:
    return jnp.stack([leaf.real, leaf.imag]) if jnp.iscomplexobj(leaf) else leaf


def _as(part: Array, dtype) -> Array:
    if jnp.issubdtype(dtype, jnp.complexfloating):
        return jax.lax.complex(part[0], part[1]).astype(dtype)
    return part.astype(dtype)
