"""The long-term Jacobian dcarry_T / dcarry_{T-lag}: the share of a change at one step that is left at a later one.

Its norm bounds what a gradient can still be after so many steps (Pascanu et al. 2013), and its condition number says
in how few directions the gradient survives (Engelken 2023).
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.cells import Cell
from rnngen.diagnostics import graded
from rnngen.diagnostics.checks import check_count, check_lags
from rnngen.diagnostics.diagnosis import Diagnosis, Kind, first_examples, flags, spread
from rnngen.diagnostics.vector_steps import VectorSteps, over
from rnngen.models import stepwise
from rnngen.plotting.figure import RANGE, Look, figure
from rnngen.plotting.records import CURVE, before_and_after, diagnosed
from rnngen.types import Array, Carry, Params, PyTree, check_positive

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class JacobianProducts(NamedTuple):
    """Natural logs of the singular values of a product of Jacobians, per example.

    Attributes:
      log_norm: `[lags, *b]`, the spectral norm.
      log_singular_values: `[lags, *b, count]`, descending.
      log_condition: `[lags, *b]`, largest over smallest singular value; inf where the smallest is an exact zero.
    """

    log_norm: Array
    log_singular_values: Array
    log_condition: Array


def jacobian_products_diagnosis(lags: tuple[int, ...] = (), count: int = 0, examples: int = 4) -> Diagnosis:
    """Norm, singular values and condition number of dcarry_T/dcarry_t against lag.

    Args:
      lags: numbers of steps; none: twelve, log-spaced.
      count: how many of the largest singular values; 0: all.
      examples: of the batch, from the first.

    Returns:
      The diagnosis.
    """
    check_positive(examples=examples)

    def measure(model, params, batch, task):
        few, steps = first_examples(batch, examples), batch.weights.shape[0]
        chosen = tuple(lags) or tuple(sorted({round(x) for x in np.geomspace(1, steps, 12)}))
        found = jacobian_products(
            stepwise(model).cell, params, few.inputs, lags=chosen, count=count or None, **flags(few)
        )
        return {"lags": jnp.asarray(chosen)} | found._asdict()

    def record(found):
        log10 = {name: found[name] / np.log(10) for name in ("log_norm", "log_condition", "log_singular_values")}
        return {
            "lags": found["lags"].tolist(),
            "log10_norm": spread(log10["log_norm"]),
            "log10_condition": spread(log10["log_condition"]),
            "log10_singular_values": np.median(log10["log_singular_values"], axis=1).tolist(),
        }

    def check(size, length):
        check_count(count or None, size)
        check_lags(tuple(lags) or (1,), length)

    return Diagnosis(measure, record, check)


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
    """Measure the singular values of dcarry_T / dcarry_{T-lag} along a sequence, T its last step, at each lag.

    The carry counts as in `VectorSteps`. A masked step passes the carry on and so multiplies by the identity; across
    a reset the product is exactly zero, its logs -inf. No scale is too small or large, and small singular values
    are as exact as large ones, to about n roundings: see `graded`. A singular value that is zero only in exact
    arithmetic, as where a unit's derivative vanishes, comes out as small as rounding leaves it.

    Args:
      cell, params, xs, carry, mask, resets: as in `unroll`.
      lags: static numbers of steps.
      count: number of the largest singular values to return; None: all.

    Returns:
      The singular values at each lag.

    Raises:
      ValueError: lags that are not 1 to t, or a count above the number of floats in an example's carry.
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
    """Return the products' transposes at each lag, up to an orthogonal matrix on either side: `[lags, *b, ...]`."""
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

    # A scan of its own, since it carries matrices from the last step to the first.
    return jax.lax.scan(back, (first, kept), (*last, jnp.asarray(places)), reverse=True)[0][1]


@figure(
    "Conditioning of the long-term Jacobian",
    f"Condition number of the Jacobian between two steps of the carry against their lag. {RANGE}",
)
def jacobian_conditions(sweep: Any, look: Look) -> "Figure":
    """Draw the condition number of the long-term Jacobian against lag (Engelken 2023)."""

    def values(row):
        return dict(zip(row["lags"], row["log10_condition"]["median"], strict=False))

    rows = diagnosed(sweep, "jacobian_products", {"lags": [float], "log10_condition": CURVE}, _unequal)
    y = "condition number of the\nlong-term Jacobian"
    return before_and_after(sweep, look, rows, values, xlabel="lag (steps)", ylabel=y, log=True)


def _unequal(row: dict) -> str:
    same = len(row["lags"]) == len(row["log10_condition"]["median"])
    return "" if same else " needs as many lags as log10_condition.median"


DIAGNOSIS = Kind("jacobian_products", jacobian_products_diagnosis, jacobian_conditions)
