"""The long-term Jacobian dcarry_T / dcarry_{T-lag}: how much of a change at one step is left at a later one.

Its norm bounds what a gradient can still be after so many steps (Pascanu et al. 2013), and its condition number says
in how few directions the gradient survives (Engelken 2023).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnngen.cells import Cell
from rnngen.diagnostics import graded
from rnngen.diagnostics.checks import check_count, check_lags
from rnngen.diagnostics.vector_steps import VectorSteps, over
from rnngen.types import Array, Carry, Params, PyTree


class JacobianProducts(NamedTuple):
    """Natural logs of what is known of a product of Jacobians, per example.

    log_norm: `[lags, *b]`, the spectral norm. log_singular_values: `[lags, *b, count]`, descending.
    log_condition: `[lags, *b]`, largest over smallest singular value; inf where the smallest is an exact zero.
    """

    log_norm: Array
    log_singular_values: Array
    log_condition: Array


def jacobian_products(
    cell: Cell,
    params: Params,
    xs: PyTree,
    carry: Carry | None = None,
    *,
    lags: tuple[int, ...],
    count: int | None = None,
    mask: Array | None = None,
    resets: Array | None = None,
) -> JacobianProducts:
    """The singular values of dcarry_T / dcarry_{T-lag} along a sequence xs `[t, *b, d]`, T its last step, at each lag.

    The carry counts as in `VectorSteps`. A masked step passes the carry on and so multiplies by the identity; across
    a reset the product is exactly zero, its logs -inf. No scale is too small or large, and small singular values
    are as exact as large ones, to about n roundings: see `graded`. A singular value that is zero only in exact
    arithmetic, as where a unit's derivative vanishes, comes out as small as rounding leaves it.

    lags: static numbers of steps. count: how many of the largest singular values to return; None: all.

    Raises ValueError for lags that are not 1 to t, and a count above the number of floats in an example's carry.
    """
    steps = VectorSteps(cell, params, xs, carry, mask=mask, resets=resets)
    count = check_count(count, steps.size)
    check_lags(lags, steps.length)
    distinct = sorted(set(lags))
    products = _products(steps, distinct)
    values = over(1 + len(steps.batch), graded.log_singular_values)(products)
    values = values[jnp.asarray([distinct.index(lag) for lag in lags])]
    largest, smallest = values[..., 0], values[..., -1]
    condition = jnp.where(jnp.isneginf(smallest), jnp.inf, largest - smallest)
    return JacobianProducts(largest, values[..., :count], condition)


def _products(steps: VectorSteps, lags: list[int]) -> graded.Graded:
    """The products' transposes at each lag, up to an orthogonal matrix on either side: `[lags, *b, ...]`."""
    last = jax.tree.map(lambda x: x[-max(lags) :], (steps.entering(), steps.inputs))
    places = [lags.index(lag) if lag in lags else len(lags) for lag in range(max(lags), 0, -1)]
    # A random frame first, since one that a Jacobian leaves as it is would keep its scales in no order.
    frame = jax.random.orthogonal(jax.random.key(0), steps.size, dtype=steps.dtype)
    first = frame, graded.identity(steps.size, steps.dtype)
    first = jax.tree.map(lambda x: jnp.broadcast_to(x, (*steps.batch, *x.shape)), first)
    kept = jax.tree.map(lambda x: jnp.zeros((len(lags), *x.shape), x.dtype), first[1])

    def back(state, at_step):
        ((frame, product), kept), (carry, inputs, place) = state, at_step
        frame, triangle = jnp.linalg.qr(steps.pull(carry, inputs, frame))
        product = over(len(steps.batch), graded.multiply)(triangle, product)
        kept = jax.tree.map(lambda k, p: k.at[place].set(p, mode="drop"), kept, product)
        return ((frame, product), kept), None

    return jax.lax.scan(back, (first, kept), (*last, jnp.asarray(places)), reverse=True)[0][1]
