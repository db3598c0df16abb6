"""Compiled loops for the rnn, gru and lstm on a CPU: what `fused` runs where they fit.

XLA runs a recurrent step as a chain of small array programs; `kernels/` has the same mathematics as one loop that keeps
the sums of a few units in registers, in C++ that this machine's own compiler builds (`building.py`), where that is
faster (`calibration.py`).
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import CustomVJPPrimal

from rnngen.cells import Cell, Gated
from rnngen.cells.cell import project_input
from rnngen.engines import calibration, calls, trees
from rnngen.engines.calls import KERNELS, Given
from rnngen.engines.steps import StepInput, where
from rnngen.types import Array, Carry, Params


def loops_of(cell: Cell) -> str | None:
    """The name of the library that has a cell's loops; None where there is none."""
    structure: Any = cell.structure
    known = isinstance(structure, Gated) and structure.backward is not None and structure.backward.kernels in KERNELS
    return structure.backward.kernels if known and cell.project is project_input else None


def suits(cell: Cell, params: Params, carry: Carry, inputs: StepInput) -> bool:
    """Whether loops could run all of this: of a cell that has some, in float32, on a CPU."""
    if loops_of(cell) is None or jax.default_backend() != "cpu":
        return False
    leaves = jax.tree.leaves((params, carry, inputs.probe, inputs.u))
    return all(jnp.result_type(leaf) == jnp.float32 for leaf in leaves) and 0 not in inputs.u.shape


def fits(cell: Cell, params: Params, carry: Carry, inputs: StepInput) -> bool:
    """Whether there are loops that run all of this: it `suits` them, and they could be built."""
    return suits(cell, params, carry, inputs) and calibration.load(loops_of(cell) or "")


def compiled(cell: Cell, params: Params, carry: Carry, inputs: StepInput, in_jax: Callable) -> tuple[Carry, Array]:
    """(last carry, ys), and gradients, by the loops, where it `fits`.

    in_jax: (params, carry, inputs) -> (carry, ys), the same in JAX, for the gradients of gradients.
    """
    steps, *batch, _ = inputs.u.shape
    rows = lambda tree, lead: jax.tree.map(lambda x: x.reshape(*lead, x.shape[-1]), tree)  # noqa: E731
    xs, probes = rows((inputs.u, inputs.probe), [steps, -1])
    flag = lambda x: None if x is None else x.reshape(steps, -1).astype(jnp.float32)  # noqa: E731
    given = Given(params, rows(carry, [-1]), xs, flag(inputs.mask), flag(inputs.reset), probes)
    last, hs = _layer(cell, functools.partial(_in_jax, in_jax))(given)
    ys = rows(hs, [steps, *batch])
    return rows(last, batch), ys if inputs.mask is None else where(inputs.mask, ys, 0)


def _in_jax(in_jax: Callable, given: Given) -> tuple[Carry, Array]:
    mask, resets = (None if flags is None else flags > 0 for flags in (given.mask, given.resets))
    return in_jax(given.params, given.carry, StepInput(given.xs, mask, resets, given.probes))


def _layer(cell: Cell, in_jax: Callable) -> Callable:
    """Given -> (carry, the h that leaves each step `[t, b, h]`), differentiable."""

    @jax.custom_vjp
    def run(given):
        return calls.forward(cell, given, keep=False)[0]

    def forward(given):
        # The gradient in xs is as much work as that in the kernel, and the lowest layer of a model has no use for it.
        wanted = {"xs": None} if given.xs.perturbed else {}
        given = jax.tree.map(lambda p: p.value, given, is_leaf=lambda p: isinstance(p, CustomVJPPrimal))
        out, kept = _keeping(cell, in_jax)(given)
        return out, (given, out[1], kept, wanted)

    def backward(residuals, gradients):
        given, hs, kept, wanted = residuals
        return (_gradient(cell, in_jax, bool(wanted))(given, hs, kept, trees.whole(gradients)),)

    run.defvjp(forward, backward, symbolic_zeros=True)
    return run


def _keeping(cell: Cell, in_jax: Callable) -> Callable:
    """Given -> (what `_layer` gives, kept); differentiable by way of JAX, where gradients are in their turn.

    Nothing comes back by what is kept: `_gradient` differentiates as if it had been computed again.
    """

    @jax.custom_vjp
    def run(given):
        return calls.forward(cell, given, keep=True)

    def backward(given, gradients):
        return jax.vjp(in_jax, given)[1](gradients[0])

    run.defvjp(lambda given: (run(given), given), backward)
    return run


def _gradient(cell: Cell, in_jax: Callable, with_xs: bool) -> Callable:
    """(given, hs, kept, gradients in (carry, hs)) -> gradients in given; differentiable in its turn, by way of JAX."""

    @jax.custom_vjp
    def run(given, hs, kept, gradients):
        return calls.backward(cell, given, hs, kept, gradients, with_xs)

    def forward(given, hs, kept, gradients):
        return run(given, hs, kept, gradients), (given, hs, kept, gradients)

    def backward(residuals, second):
        given, hs, kept, gradients = residuals
        pulled = jax.vjp(lambda given, gradients: jax.vjp(in_jax, given)[1](gradients)[0], given, gradients)[1](second)
        return pulled[0], jnp.zeros_like(hs), jnp.zeros_like(kept), pulled[1]

    run.defvjp(forward, backward)
    return run
