r"""How far a small change of the parameters moves the carry, against how long the network remembers.

Where memory is long, a change of a parameter acts at many steps, and all of it is still there: the carry moves far
though no gradient explodes (Zucchet and Orvieto 2024). Measured is, for each parameter W,

$$S_W = \sqrt{\mathbb{E}\, \Big\| \frac{d c_T}{d W} \Big\|_F^2}, $$

with $c_T$ the carry that leaves the last step and the mean over examples. With random signs $\nu$,
$\mathbb{E}_\nu \| \nu^T \frac{d c_T}{d W} \|^2$ is that norm's square (Hutchinson 1990): a draw costs a reverse pass.

For h' = a h + u with independent u of unit variance, S of a is $\sqrt{(1 + a^2) / (1 - a^2)^3}$, and the norm of h
$1 / \sqrt{1 - a^2}$: the longer the memory, the less they keep pace.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.cells import Cell
from rnngen.diagnostics.diagnosis import Diagnosis, Kind, flags
from rnngen.engines import unroll
from rnngen.models import stepwise
from rnngen.plotting.figure import Look, NothingToDraw, figure
from rnngen.plotting.records import diagnosed
from rnngen.rules.reals import to_reals
from rnngen.types import Array, Key, Params, PyTree, at_least_float32, check_positive, named

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


class Sensitivity(NamedTuple):
    """What a change of the parameters does to the last carry.

    Attributes:
      parameters: parameter -> [], root mean square over examples of the norm of the carry's derivative; and of `all`.
      carry: [], root mean square over examples of the norm of the carry itself.
    """

    parameters: dict[str, Array]
    carry: Array


def parameter_sensitivity_diagnosis(draws: int = 8) -> Diagnosis:
    """Root mean square of the derivative of the last carry in each parameter.

    Args:
      draws: of random signs, for each example.

    Returns:
      The diagnosis.
    """
    check_positive(draws=draws)

    def measure(model, params, batch, task):
        return parameter_sensitivity(stepwise(model).cell, params, batch.inputs, draws=draws, **flags(batch))

    def record(found):
        parameters = {name: float(x) for name, x in found.parameters.items()}
        return {"parameters": parameters, "carry": float(found.carry)}

    return Diagnosis(measure, record)


def parameter_sensitivity(
    cell: Cell,
    params: Params,
    xs: PyTree,
    *,
    mask: Array | None = None,
    resets: Array | None = None,
    draws: int = 8,
    key: Key | None = None,
) -> Sensitivity:
    """Measure how far a small change of each parameter moves the last carry, on average over examples.

    Args:
      cell, params: of one cell, or of a model seen as one (`model.cell`).
      xs: inputs `[t, b, ...]`.
      mask, resets: as in `unroll`, `[t, b]`.
      draws: of random signs, for each example.
      key: of the signs; default: always the same.

    Returns:
      The sensitivities, by the parameter's path, as `layer_0/recurrent_kernel`; and of `all`.
    """
    # The dynamics, as Jacobians have them, and not the gradient that a credit makes of them.
    plain = cell._replace(credit=None)

    def last(params: Params, x: PyTree, mask: Array | None, resets: Array | None) -> list[Array]:
        return to_reals(unroll(plain, params, x, mask=mask, resets=resets, engine="scan")[0])

    def example(key: Key, x: PyTree, mask: Array | None, resets: Array | None) -> tuple[Params, Array]:
        carry, pull = jax.vjp(lambda p: last(p, x, mask, resets), params)

        def squares(key: Key) -> Params:
            keys = jax.random.split(key, len(carry))
            signs = [jax.random.rademacher(k, c.shape, c.dtype) for k, c in zip(keys, carry, strict=True)]
            return jax.tree.map(_square, pull(signs)[0])

        drawn = jax.lax.map(squares, jax.random.split(key, draws))
        return jax.tree.map(lambda s: s.mean(), drawn), sum(map(_square, carry), jnp.zeros(()))

    count = jax.tree.leaves(xs)[0].shape[1]
    keys = jax.random.split(jax.random.key(0) if key is None else key, count)
    of_each = lambda part: example(part[0], *part[1])  # noqa: E731
    examples = jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0), (xs, mask, resets))
    squared, carry = jax.tree.map(lambda s: s.mean(), jax.lax.map(of_each, (keys, examples)))
    by_name = dict(named(squared))
    by_name["all"] = jnp.stack(list(by_name.values())).sum()
    return Sensitivity({name: jnp.sqrt(square) for name, square in by_name.items()}, jnp.sqrt(carry))


def _square(x: Array) -> Array:
    return jnp.sum(at_least_float32(x) ** 2)


SHAPE = {"parameters": {...: float}, "carry": float}
_FLOW = {"half_life": {"all": {"steps": float}}}


@figure(
    "Sensitivity to parameters",
    "Norm of the last carry's derivative in the parameters, against the half-life of the gradient; a point a trial. "
    "Trials whose gradient does not decay have no half-life, and no point.",
    name="parameter_sensitivity",
)
def plot_parameter_sensitivity(sweep: Any, look: Look, *, leaf: str = "all") -> "Figure":
    """Draw the sensitivity of the carry to parameters against memory, before and after training.

    Args:
      leaf: a parameter, as `layer_0/recurrent_kernel`, or "all".
    """
    rows, colour = look.curves(_together(sweep, leaf))
    moments = look.moments(sweep.moments(rows))
    figure, (line,) = look.panels(1, len(moments), width=3.4, height=2.6, sharey=True)
    for axes, (moment, chosen) in zip(line, moments.items(), strict=True):
        for label, group in chosen.groupby("curve", sort=False):
            shade = colour[str(label)]
            axes.plot(group["reach"], group["sensitivity"], "o", color=shade, label=str(label), markersize=4)
        axes.set(title=moment, xlabel="half-life of the gradient (steps)", xscale="log", yscale="log")
    line[0].set_ylabel(r"$\|\mathrm{d} c_T / \mathrm{d} \theta\|$")
    look.legend(figure)
    return figure


def _together(sweep: Any, leaf: str) -> "pd.DataFrame":
    """Return the rows that have a finite half-life, as `reach`, and a sensitivity that is not 0."""
    rows = diagnosed(sweep, "parameter_sensitivity", SHAPE)
    flows = diagnosed(sweep, "gradient_flow", _FLOW)
    steps = flows.assign(reach=[float(of["all"]["steps"]) for of in flows["half_life"]])
    rows = rows.assign(sensitivity=[float(of.get(leaf, np.nan)) for of in rows["parameters"]])
    joined = rows.merge(steps[["trial", "step", "reach"]], on=["trial", "step"])
    there = joined[["reach", "sensitivity"]].apply(lambda x: np.isfinite(x) & (x > 0)).all(axis=1)
    if not there.any():
        raise NothingToDraw(f"{sweep.path} has no half-life beside a sensitivity of {leaf!r}")
    return joined[there]


DIAGNOSIS = Kind("parameter_sensitivity", parameter_sensitivity_diagnosis, plot_parameter_sensitivity)
