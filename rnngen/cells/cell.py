"""The cell contract: pure functions from which everything else is derived.

`step` is the only mathematics that a new cell must bring. All functions but `init` and
`prepare` see the *prepared* parameters, so what is the same at every step (a matrix
exponential, a folded constant) is computed once per unroll.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnngen.types import Array, Carry, Key, Params, PyTree


def no_projection(params: Params, xs: PyTree, key: Key | None = None) -> PyTree:
    """Return the inputs as they are: the default `project`."""
    return xs


def no_preparation(params: Params) -> Params:
    """Return the parameters as they are: the default `prepare`."""
    return params


def no_observation(params: Params, carry: Carry, u: PyTree) -> dict[str, Array]:
    """Return an empty dict: the default `observe`."""
    return {}


KERNEL = "recurrent_kernel"  # the parameter that multiplies the hidden features
MOST_FEATURES = 2**24  # of a cell; a wider one overflows JAX's counts before it does any memory


class Backward(NamedTuple):
    """Handwritten reverse pass of a pointwise `Gated` cell, for the `fused` engine where it runs in JAX.

    All but `pull` work on any leading axes, time among them. W is `recurrent_kernel`, a is `hidden @ W`.

    Attributes:
      keep: (params, carry, u, a) -> (carry, y, residuals): `combine`, with the residuals of the reverse pass.
      local: (params, carry, new_carry, residuals) -> J, the local derivatives, for a chunk of steps at once.
      pull: (J, dcarry, dy, through) -> (dcarry, da, extra): one step back. `through(da)` is `da @ W.T`.
      inputs: (J, da, extra) -> (du, dparams): gradients in u, and in the parameters that `combine` reads,
        summed over all leading axes (only those parameters, as a dict).
    """

    keep: Callable[[Params, Carry, PyTree, Array], tuple[Carry, Array, PyTree]]
    local: Callable[[Params, Carry, Carry, PyTree], PyTree]
    pull: Callable[[PyTree, Carry, Array, Callable[[Array], Array]], tuple[Carry, Array, PyTree]]
    inputs: Callable[[PyTree, Array, PyTree], tuple[PyTree, Params]]


class Gated(NamedTuple):
    """A cell whose only recurrent matrix product is `hidden(carry) @ recurrent_kernel`.

    Attributes:
      hidden: carry -> `[*b, h]`.
      combine: (params, carry, u, a) -> (carry, y), with a `[*b, g*h]` that product; it may read
        the whole carry and any parameter except `recurrent_kernel`.
      pointwise: feature i of the results depends on feature i of the arguments only.
      backward: a handwritten reverse pass; None: derived by JAX.
    """

    hidden: Callable[[Carry], Array]
    combine: Callable[[Params, Carry, PyTree, Array], tuple[Carry, Array]]
    pointwise: bool = True
    backward: Backward | None = None


def multiply_add(element: tuple[Carry, Carry], carry: Carry) -> Carry:
    """Compute `a * carry + b`, leaf by leaf: the default `act`."""
    return jax.tree.map(lambda a, b, c: a * c + b, *element, carry)


def compose_affine(later: tuple[Carry, Carry], earlier: tuple[Carry, Carry]) -> tuple[Carry, Carry]:
    """Compute a_2 (a_1 c + b_1) + b_2, leaf by leaf: the default `compose`."""
    return jax.tree.map(lambda a, e: a * e, later[0], earlier[0]), multiply_add(later, earlier[1])


class Chunked(NamedTuple):
    """Many steps of an `Affine` cell composed by less work than one after another, of time in n chunks of c steps.

    Attributes:
      steps: c, of a chunk.
      gather: (params, us `[n, c, *b, ...]`, mask, resets) -> (elements `[n, ...]` of the chunks, rows `[n, ...]`);
        mask and resets are bool `[n, c, *b]`, or None. A masked step is none; after a reset the carry is `init_carry`.
      outputs: (rows of a chunk, the carry that enters it) -> ys `[c, *b, h]`.
      alone: False where it is the backward pass that chunks save, and steps are faster where no gradient is taken.
    """

    steps: int
    gather: Callable[..., tuple[Any, Any]]
    outputs: Callable[[Any, Carry], PyTree]
    alone: bool = True


class Affine(NamedTuple):
    """A cell whose carry is moved by an element of a monoid that does not depend on the carry.

    The functions work on any leading axes, time among them.

    Attributes:
      terms: (params, us) -> element; by default a pair (a, b) of trees like the carry, for carry' = a * carry + b.
      readout: (params, carries, us) -> ys, from the carries that leave the steps.
      compose: (later, earlier) -> element, associative.
      act: (element, carry) -> carry.
      chunked: how to compose many steps at once; None: by `compose`.
    """

    terms: Callable[[Params, PyTree], Any]
    readout: Callable[[Params, Carry, PyTree], PyTree]
    compose: Callable[[Any, Any], Any] = compose_affine
    act: Callable[[Any, Carry], Carry] = multiply_add
    chunked: Chunked | None = None


class Cell(NamedTuple):
    """One recurrent cell.

    Attributes:
      init: (key, input_dim) -> params, a nested dict of real arrays under string keys.
      init_carry: (params, batch_shape) -> carry, any pytree, every leaf starting with batch_shape.
      step: (params, carry, u) -> (carry, y), u `[*b, ...]`, y `[*b, h]`; keeps the structure,
        shapes and dtypes of the carry.
      output_dim: h, the features of y.
      project: (params, xs `[*t, *b, d]`, key) -> us: the part that needs no carry, for all steps
        at once; also the only place where noise is drawn.
      prepare: (params) -> params, once per unroll, differentiable.
      observe: (params, carry, u) -> {name: `[*b, h]`}, values to show, such as gates in [0, 1].
      structure: the form of the step that faster engines may rely on.
      diagonal: the step's Jacobian in the carry is diagonal, leaf by leaf.
      credit: a change of the gradient through the carry, see `cells.credit.with_credit`; engines apply it around
        `step`, which is always the plain one.
    """

    init: Callable[[Key, int], Params]
    init_carry: Callable[[Params, tuple[int, ...]], Carry]
    step: Callable[[Params, Carry, PyTree], tuple[Carry, PyTree]]
    output_dim: int
    project: Callable[..., PyTree] = no_projection
    prepare: Callable[[Params], Params] = no_preparation
    observe: Callable[[Params, Carry, PyTree], dict[str, Array]] = no_observation
    structure: Gated | Affine | None = None
    diagonal: bool = False
    credit: Any = None


def gated_cell(
    *,
    init,
    init_carry,
    structure: Gated,
    output_dim: int,
    project=no_projection,
    prepare=no_preparation,
    observe=no_observation,
) -> Cell:
    """Make a Cell whose `step` is derived from its `Gated` structure, so that the two cannot disagree.

    Args:
      init, init_carry: as in `Cell`.
      structure: what is before and after the recurrent product.
      output_dim, project, prepare, observe: as in `Cell`.

    Returns:
      The cell.
    """

    def step(params, carry, u):
        product = structure.hidden(carry) @ params[KERNEL]
        return structure.combine(params, carry, u, product)

    return Cell(init, init_carry, step, output_dim, project, prepare, observe, structure)


def affine_cell(
    *,
    init,
    init_carry,
    structure: Affine,
    output_dim: int,
    project=no_projection,
    prepare=no_preparation,
    observe=no_observation,
) -> Cell:
    """Make a Cell whose `step` is derived from its `Affine` structure, so that the two cannot disagree.

    Args:
      init, init_carry: as in `Cell`.
      structure: the terms and the readout.
      output_dim, project, prepare, observe: as in `Cell`.

    Returns:
      The cell.
    """

    def step(params, carry, u):
        carry = structure.act(structure.terms(params, u), carry)
        return carry, structure.readout(params, carry, u)

    diagonal = structure.act is multiply_add
    return Cell(init, init_carry, step, output_dim, project, prepare, observe, structure, diagonal)


def project_input(params: Params, xs: Array, key: Key | None = None) -> Array:
    """Compute `xs @ kernel + bias` over all steps at once.

    Args:
      params: with `kernel [d, g*h]` and `bias [g*h]`.
      xs: inputs `[*t, *b, d]`.
      key: not used; it is there because `Cell.project` has one.

    Returns:
      `[*t, *b, g*h]`.
    """
    return xs @ params["kernel"] + params["bias"]


def initial_state(params: Params, batch_shape: tuple[int, ...], hidden_dim: int, name: str = "h") -> Array:
    """Make the state `[*b, h]` that a sequence starts with: learned, where there are such parameters, else zeros.

    A learned one is `params["initial_carry"][name]`, `[h]`.

    Args:
      params: of the cell.
      batch_shape: the batch axes `*b`, also `()`.
      hidden_dim: h.
      name: of the part of the carry.

    Returns:
      The state, in the dtype of the parameters.
    """
    zeros = jnp.zeros(hidden_dim, params["bias"].dtype)
    state = params["initial_carry"][name] if "initial_carry" in params else zeros
    return jnp.broadcast_to(state, (*batch_shape, hidden_dim))
