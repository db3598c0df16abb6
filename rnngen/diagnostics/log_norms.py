"""Gradient norms that do not underflow: a reverse pass that is rescaled as it goes.

A GRU at initialisation shrinks a gradient by about 0.75 a step, so after some 150 steps the squared
norm is below the smallest float32 and a plain backward pass reports zero.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from rnngen.cells import Cell
from rnngen.diagnostics.gradient_flow import zero_probes
from rnngen.engines import batch_shape, prepare_unroll, trees, unroll
from rnngen.engines.steps import full_step, project
from rnngen.types import Array, Carry, Params, PyTree, named


def log_gradient_norms(
    cell: Cell,
    params: Params,
    xs: PyTree,
    loss: Callable[[PyTree], Array],
    carry: Carry | None = None,
    *,
    mask: Array | None = None,
    resets: Array | None = None,
) -> dict[str, Array]:
    """Measure the norms, per example, of `carry_gradients`.

    Norms far below the smallest float, or above the largest, keep their value; an exact zero gives -inf. Complex leaves
    count by modulus, integer leaves not at all. Where the cell's credit has a window, it is that of the last loss.

    Args:
      cell, params, xs, carry, mask, resets: as in `unroll`.
      loss: (ys) -> scalar, a sum over examples.

    Returns:
      name of a leaf -> natural logs of norms `[t, *b]`. A leaf is named by its path in the carry, a carry that is one
      array by `h`; `all` is the norm over all leaves.
    """
    record = lambda params, carry, inputs, after: carry  # noqa: E731
    _, ys, carries = unroll(cell, params, xs, carry, mask=mask, resets=resets, record=record)
    run = prepare_unroll(cell, params, xs, carry, mask=mask, resets=resets)
    probes = zero_probes(run.carry, jax.tree.leaves(xs)[0].shape[0])
    step, inputs = full_step(run.cell), project(run.cell, run.params, run.inputs)._replace(probe=probes)
    batch = batch_shape(xs, mask, resets)
    nothing = jax.tree.map(jnp.zeros_like, trees.floats(run.carry)), jnp.full(batch, -jnp.inf)
    window = run.cell.credit.window if run.cell.credit else 0

    def backward(state, at_step):
        (*state, age), dy = state, at_step[-1]
        if window:
            # Steps since the last that has a loss, each example for itself.
            age = jnp.where(jnp.isneginf(_log_norm(jax.tree.leaves(dy), batch)), age + 1, 0)
            state[1] = jnp.where(age < window, state[1], -jnp.inf)
        state, norms = _step_back(lambda c, i: step(run.params, c, i), tuple(state), *at_step)
        return (*state, age), norms

    # A scan of its own, since it carries back a rescaled gradient and its scale, as no engine's reverse pass does.
    start = (*nothing, jnp.zeros(batch, jnp.int32))
    return jax.lax.scan(backward, start, (carries, inputs, jax.grad(loss)(ys)), reverse=True)[1]


def log_norms_of(tree: Carry, batch: tuple[int, ...]) -> dict[str, Array]:
    """Return natural logs of the norms of a carry's gradients `[t, *b, ...]`, named as by `log_gradient_norms`."""
    return _by_name(trees.floats(tree), (trees.length(tree), *batch))


def _by_name(tree: PyTree, axes: tuple[int, ...]) -> dict[str, Array]:
    """Return the log norm of each leaf `[*axes, ...]`, and that of `all`."""
    return {name: _log_norm([leaf], axes) for name, leaf in named(tree)} | {
        "all": _log_norm(jax.tree.leaves(tree), axes)
    }


def _step_back(step, state, carry, inputs, dy):
    """Take one rescaled step of the reverse pass: (direction, log scale) after a step -> the same before it."""
    (direction, scale), (dy, dy_scale) = state, _normalise(dy, state[1].shape)
    top = jnp.maximum(scale, dy_scale)
    # Where nothing has arrived yet both scales are -inf; any finite reference will do.
    reference = jnp.where(jnp.isneginf(top), 0.0, top)
    direction, dy = _scale(direction, jnp.exp(scale - reference)), _scale(dy, jnp.exp(dy_scale - reference))

    _, pull_back = trees.vjp(lambda c, probe: step(c, inputs._replace(probe=probe)), carry, inputs.probe)
    before, entering = pull_back((direction, dy))
    norms = {name: norm + reference for name, norm in _by_name(entering, scale.shape).items()}
    before, before_scale = _normalise(before, scale.shape)
    return (before, before_scale + reference), norms


def _normalise(tree: PyTree, batch: tuple[int, ...]) -> tuple[PyTree, Array]:
    """Return the tree with norm 1 per example (0 stays 0), and the log of the norm that it had."""
    log_norm = _log_norm(jax.tree.leaves(tree), batch)
    # In two halves, since exp(-log_norm) itself may overflow.
    half = jnp.exp(-0.5 * jnp.where(jnp.isneginf(log_norm), 0.0, log_norm))
    return _scale(_scale(tree, half), half), log_norm


def _log_norm(leaves: list[Array], batch: tuple[int, ...]) -> Array:
    """Return the log of the norm over all leaves `[*b, ...]` -> `[*b]`; no square leaves the float range."""
    flat = jnp.concatenate([jnp.abs(x).reshape(*batch, -1).astype(jnp.float32) for x in leaves], axis=-1)
    largest = jnp.max(flat, axis=-1)
    scaled = flat / jnp.where(largest > 0, largest, 1.0)[..., None]
    return jnp.log(largest) + 0.5 * jnp.log(jnp.maximum(jnp.sum(scaled**2, axis=-1), 1.0))


def _scale(tree: PyTree, factor: Array) -> PyTree:
    def scale(x):
        return x * factor.reshape(factor.shape + (1,) * (x.ndim - factor.ndim)).astype(x.dtype)

    return jax.tree.map(scale, tree)
