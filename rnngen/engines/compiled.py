"""Compiled loops for the rnn, gru and lstm on a CPU: what `fused` runs where they fit.

XLA runs a recurrent step as a chain of small array programs; `kernels/` has the same mathematics as one loop that keeps
the sums of a few units in registers, in C++ that this machine's own compiler builds (`building.py`).
"""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_derivatives import CustomVJPPrimal, SymbolicZero

from rnngen.cells import Cell, Gated
from rnngen.cells.cell import project_input
from rnngen.engines import building
from rnngen.engines.steps import StepInput
from rnngen.process import count_cores
from rnngen.types import Array, Carry, Params, PyTree

WEIGHTS = ("kernel", "recurrent_kernel", "bias", "recurrent_bias")
LANES = 16  # the most numbers that a vector holds; what is kept of a layer is padded to as many units


class Kernels(NamedTuple):
    """What is kept a unit for the way back, and whether the carry is a dict with a `c` beside its `h`."""

    kept: int
    has_c: bool


KERNELS = {"rnn": Kernels(0, False), "gru": Kernels(4, False), "lstm": Kernels(5, True)}


def fits(cell: Cell, params: Params, carry: Carry, inputs: StepInput) -> bool:
    """Whether there are kernels for all of this: a cell that names its own, plain float32, a CPU and a compiler."""
    structure: Any = cell.structure
    known = isinstance(structure, Gated) and structure.backward is not None and structure.backward.kernels in KERNELS
    plain = cell.project is project_input and inputs.mask is inputs.reset is None
    if not (known and plain):
        return False
    leaves = [*jax.tree.leaves((carry, inputs.probe)), inputs.u, *_weights(params).values()]
    single = all(jnp.result_type(leaf) == jnp.float32 for leaf in leaves)
    return single and 0 not in inputs.u.shape and building.load()


def compiled(cell: Cell, params: Params, carry: Carry, inputs: StepInput, in_jax: Callable) -> tuple[Carry, Array]:
    """(last carry, ys), and gradients, by the kernels, where it `fits`.

    in_jax: (params, carry, inputs) -> (carry, ys), the same in JAX, for the gradients of gradients.
    """
    structure: Any = cell.structure
    steps, *batch, _ = inputs.u.shape
    rows = lambda tree, lead: jax.tree.map(lambda x: x.reshape(*lead, x.shape[-1]), tree)  # noqa: E731
    run = _layer(structure.backward.kernels, lambda w, c, xs, p: in_jax(w, c, StepInput(xs, probe=p)))
    xs, probes = rows((inputs.u, inputs.probe), [steps, -1])
    last, ys = run(_weights(params), rows(carry, [-1]), xs, probes)
    return rows(last, batch), rows(ys, [steps, *batch])


def _weights(params: Params) -> Params:
    return {name: params[name] for name in WEIGHTS if name in params}


def _layer(name: str, in_jax: Callable) -> Callable:
    """(weights, carry `[b, h]`, xs `[t, b, d]`, probes or None) -> (carry, ys `[t, b, h]`), differentiable."""

    @jax.custom_vjp
    def run(*given):
        return _forward(name, *given)[0]

    def forward(*given):
        # The gradient in xs is as much work as that in the kernel, and the lowest layer of a model has no use for it.
        wanted = {"xs": None} if given[2].perturbed else {}
        values = jax.tree.map(lambda p: p.value, given, is_leaf=lambda p: isinstance(p, CustomVJPPrimal))
        out, kept = _keeping(name, in_jax)(values)
        return out, (values, out[1], kept, wanted)

    def backward(residuals, gradients):
        given, ys, kept, wanted = residuals
        gradients = jax.tree.map(_whole, gradients, is_leaf=lambda g: isinstance(g, SymbolicZero))
        return _gradient(name, in_jax, bool(wanted))(given, ys, kept, gradients)

    run.defvjp(forward, backward, symbolic_zeros=True)
    return run


def _whole(gradient: Any) -> Array:
    return jnp.zeros(gradient.shape, gradient.dtype) if isinstance(gradient, SymbolicZero) else gradient


def _keeping(name: str, in_jax: Callable) -> Callable:
    """(what `_layer` takes) -> (what it gives, kept); differentiable by way of JAX, where gradients are in their turn.

    Nothing comes back by what is kept: `_gradient` differentiates as if it had been computed again.
    """

    @jax.custom_vjp
    def run(given):
        return _forward(name, *given)

    def backward(given, gradients):
        return (jax.vjp(in_jax, *given)[1](gradients[0]),)

    run.defvjp(lambda given: (run(given), given), backward)
    return run


def _gradient(name: str, in_jax: Callable, with_xs: bool) -> Callable:
    """(what `_layer` takes, ys, kept, gradients in (carry, ys)) -> gradients in what `_layer` takes.

    Differentiable in its turn, by way of JAX.
    """

    @jax.custom_vjp
    def run(given, ys, kept, gradients):
        return _backward(name, given, ys, kept, gradients, with_xs)

    def forward(given, ys, kept, gradients):
        return run(given, ys, kept, gradients), (given, ys, kept, gradients)

    def backward(residuals, second):
        given, ys, kept, gradients = residuals
        pulled = jax.vjp(lambda given, gradients: jax.vjp(in_jax, *given)[1](gradients), given, gradients)[1](second)
        return pulled[0], jnp.zeros_like(ys), jnp.zeros_like(kept), pulled[1]

    run.defvjp(forward, backward)
    return run


def _forward(name: str, weights: Params, carry: Carry, xs: Array, probes: Carry) -> tuple[tuple[Carry, Array], Array]:
    """((last carry, ys), kept)."""
    kernels, (steps, batch, _) = KERNELS[name], xs.shape
    h, c = _parts(carry, kernels)
    units = h.shape[-1]
    shapes = [(steps, batch, units), (steps, batch, kernels.kept * -(-units // LANES) * LANES), c.shape]
    ys, kept, c = _call(f"{name}_forward", batch, shapes, xs, *_four(weights), h, c, *_parts(probes, kernels))
    return (_carry(ys[-1], c, kernels), ys), kept


def _backward(name: str, given: PyTree, ys: Array, kept: Array, gradients: PyTree, with_xs: bool) -> PyTree:
    """Gradients in what is given, (weights, carry, xs, probes)."""
    (weights, carry, xs, probes), (dcarry, dys) = given, gradients
    kernels, (kernel, recurrent, *biases) = KERNELS[name], _four(weights)
    entering = (*_parts(carry, kernels), *_parts(probes, kernels))
    wanted = [kernel, recurrent, *biases, *entering[:2], xs if with_xs else _nothing(), *entering[2:]]
    arrays = (xs, kernel, recurrent, *entering, ys, kept, dys, *_parts(dcarry, kernels))
    *four, dh, dc, dxs, dprobe_h, dprobe_c = _call(f"{name}_backward", xs.shape[1], [x.shape for x in wanted], *arrays)
    dweights = {name: d for name, d in zip(WEIGHTS, four, strict=True) if name in weights}
    dprobes = None if probes is None else _carry(dprobe_h, dprobe_c, kernels)
    return dweights, _carry(dh, dc, kernels), dxs if with_xs else jnp.zeros_like(xs), dprobes


def _call(name: str, rows: int, shapes: list[tuple[int, ...]], *given: Array) -> Sequence[Array]:
    outs = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    run = jax.ffi.ffi_call(building.PREFIX + name, outs, vmap_method="sequential")
    return run(*given, shares=count_shares(rows), threads=_threads())


def count_shares(rows: int) -> int:
    """How many threads can share a batch: two where there are some rows, more where there are many, since shares of
    few rows read the weights too often."""
    return max(1 if rows < 10 else 2, rows // 32)


def all_compiled(function: Callable, *args: Any) -> bool:
    """Whether compiled loops are all there is of loops in a function."""
    text = str(jax.make_jaxpr(function)(*args))
    return "ffi_call" in text and not re.search(r"\b(scan|while)\[", text)


def _threads() -> int:
    """As many as there are cores; where several devices made of them run this side by side, a device's share."""
    mesh = jax.sharding.get_abstract_mesh()
    beside = math.prod(mesh.shape[axis] for axis in mesh.manual_axes)
    return max(1, count_cores() // beside)


def _four(weights: Params) -> list[Array]:
    """All weights that a kernel is handed; empty is what the cell does not have."""
    return [weights.get(name, _nothing()) for name in WEIGHTS]


def _parts(carry: Carry | None, kernels: Kernels) -> tuple[Array, Array]:
    """(h, c) of a carry, of probes or of their gradients."""
    if carry is None:
        return _nothing(), _nothing()
    return (carry["h"], carry["c"]) if kernels.has_c else (carry, _nothing())


def _carry(h: Array, c: Array, kernels: Kernels) -> Carry:
    return {"h": h, "c": c} if kernels.has_c else h


def _nothing() -> Array:
    return jnp.zeros(0, jnp.float32)
