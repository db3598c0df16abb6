"""The cell contract: pure functions from which everything else is derived.

`step` is the only mathematics that a new cell must bring. All functions but `init` and
`prepare` see the *prepared* parameters, so what is the same at every step (a matrix
exponential, a folded constant) is computed once per unroll.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp

from rnngen.types import Array, Carry, Key, Params, PyTree


def no_projection(params: Params, xs: PyTree, key: Key | None = None) -> PyTree:
    """The default `project`: the step sees the input as it is."""
    return xs


def no_preparation(params: Params) -> Params:
    """The default `prepare`: the step sees the parameters as they are."""
    return params


class Gated(NamedTuple):
    """A cell whose only recurrent matrix product is `hidden(carry) @ recurrent_kernel`.

    hidden: carry -> `[*b, h]`.
    combine: (params, carry, u, a) -> (carry, y), with a `[*b, g*h]` that product; it may read
      the whole carry and any parameter except `recurrent_kernel`.
    pointwise: feature i of what comes out depends on feature i of what goes in.
    """

    hidden: Callable[[Carry], Array]
    combine: Callable[[Params, Carry, PyTree, Array], tuple[Carry, Array]]
    pointwise: bool = True


class Cell(NamedTuple):
    """One recurrent cell.

    init: (key, input_dim) -> params, a nested dict of real arrays under string keys.
    init_carry: (params, batch_shape) -> carry, any pytree, every leaf starting with batch_shape.
    step: (params, carry, u) -> (carry, y), u `[*b, ...]`, y `[*b, h]`; keeps the structure,
      shapes and dtypes of the carry.
    output_dim: h, the features of y.
    project: (params, xs `[*t, *b, d]`, key) -> us: the part that needs no carry, for all steps
      at once; also the only place where noise is drawn.
    prepare: (params) -> params, once per unroll, differentiable.
    structure: what faster engines may rely on.
    """

    init: Callable[[Key, int], Params]
    init_carry: Callable[[Params, tuple[int, ...]], Carry]
    step: Callable[[Params, Carry, PyTree], tuple[Carry, PyTree]]
    output_dim: int
    project: Callable[..., PyTree] = no_projection
    prepare: Callable[[Params], Params] = no_preparation
    structure: Gated | None = None


def gated_cell(*, init, init_carry, structure: Gated, output_dim: int, project=no_projection, prepare=no_preparation):
    """A Cell whose `step` is derived from its `Gated` structure, so that the two cannot disagree."""

    def step(params, carry, u):
        product = structure.hidden(carry) @ params["recurrent_kernel"]
        return structure.combine(params, carry, u, product)

    return Cell(init, init_carry, step, output_dim, project, prepare, structure)


def project_input(params: Params, xs: Array, key: Key | None = None) -> Array:
    """`xs @ kernel + bias` over all steps at once: xs `[*t, *b, d]` -> `[*t, *b, g*h]`."""
    return xs @ params["kernel"] + params["bias"]


def initial_state(params: Params, batch_shape: tuple[int, ...], hidden_dim: int, name: str = "h") -> Array:
    """`[*b, h]`: the learned initial state `params["initial_carry"][name]` if there is one, else zeros."""
    if "initial_carry" in params:
        state = params["initial_carry"][name]
    else:
        state = jnp.zeros(hidden_dim, params["recurrent_kernel"].dtype)
    return jnp.broadcast_to(state, (*batch_shape, hidden_dim))
