"""Gradient norm against lag, from single sources, and the half-life of that curve.

With a loss at every step, the gradient at step t mixes near and far. So the loss is read at one step tau at a time, and
the norm is taken against the lag tau - t.
"""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.diagnostics.checks import check_axes, check_carry
from rnngen.diagnostics.diagnosis import Diagnosis, Kind, flags, spread
from rnngen.diagnostics.gradient_flow import gradient_flow, summed_loss, weighed_at
from rnngen.diagnostics.half_life import HalfLife, half_life
from rnngen.diagnostics.log_norms import log_gradient_norms, log_norms_of
from rnngen.models import Model, StepModel
from rnngen.models.layers import BACKWARD
from rnngen.plotting.figure import Look, check_readable, figure
from rnngen.plotting.records import CURVE, diagnosed
from rnngen.tasks import Task
from rnngen.types import Array, Batch, Params, check_positive

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def gradient_flow_diagnosis(sources: int = 1) -> Diagnosis:
    """Norm of the loss's gradient in the carry against lag, and its half-life, from `sources` steps with a loss.

    Args:
      sources: steps with a loss, of each example, that a gradient starts from.

    Returns:
      The diagnosis.
    """
    check_positive(sources=sources)

    def measure(model, params, batch, task):
        return lag_norms(model, params, batch, task, sources)

    return Diagnosis(measure, flow_record, lambda size, length: check_carry(size), batch_axis=2, steps=False)


def lag_norms(
    model: Model, params: Params, batch: Batch, task: Task | None = None, num_sources: int = 1
) -> dict[str, Array]:
    """Measure gradient norms against lag from single sources; lag 0 is the source's own step.

    Each example's sources are `num_sources` steps spread evenly over those with weight, the last among them. Where a
    model is bidirectional, a layer has `layer_0/forward/h` and `layer_0/backward/h`, the second against the steps from
    the source to a later one, and `all` is over both; norms below the smallest float are then exact zeros.

    Args:
      model, params, batch: a model, its parameters, and a batch `[t, b]`.
      task: whose loss is differentiated; default: the negative log-likelihood of the model's head.
      num_sources: sources per example.

    Returns:
      leaf of the carry, as `layer_0/h`, -> natural logs `[sources, k, b]`; nan where a lag reaches beyond the start of
      the sequence, inf where the gradient is not finite.
    """
    steps = batch.weights.shape[0]

    def against_lag(source):
        at_source = weighed_at(batch, source)
        lags = jnp.arange(steps)[:, None]
        if not isinstance(model, StepModel):
            return _both_ways(model, params, at_source, task, source, lags)
        loss = summed_loss(model, at_source, task)
        norms = log_gradient_norms(model.cell, params, batch.inputs, loss, **flags(batch))
        return {_leaf_name(name, 1): _taken(norm, source - lags) for name, norm in norms.items()}

    return jax.lax.map(against_lag, source_steps(batch.weights, num_sources))


def _both_ways(
    model: Model, params: Params, batch: Batch, task: Task | None, source: Array, lags: Array
) -> dict[str, Array]:
    """Measure `lag_norms` from one source by a plain backward pass: a bidirectional model has no step to rescale at."""
    norms = log_norms_of(gradient_flow(model, params, batch, task), batch.weights.shape[1:])
    away = {name: source + lags if f"/{BACKWARD}" in name else source - lags for name in norms}
    by_lag = {_leaf_name(name, 2): _taken(norm, away[name]) for name, norm in norms.items() if name != "all"}
    each = jnp.stack(list(by_lag.values()))
    absent = jnp.isnan(each)
    everything = 0.5 * jax.nn.logsumexp(jnp.where(absent, -jnp.inf, 2 * each), axis=0)
    return by_lag | {"all": jnp.where(absent.all(axis=0), jnp.nan, everything)}


def _taken(norms: Array, places: Array) -> Array:
    """Take norms `[t, b]` at places `[k, b]`; nan outside of the sequence, inf where a norm is not finite."""
    inside = (places >= 0) & (places < len(norms))
    norms = jnp.where(jnp.isnan(norms), jnp.inf, norms)
    return jnp.where(inside, jnp.take_along_axis(norms, jnp.where(inside, places, 0), axis=0), jnp.nan)


def _leaf_name(name: str, depth: int) -> str:
    """Name the carry of a layer, or its direction, `h` where it is one array, as that of a cell."""
    return name if name == "all" or name.count("/") >= depth else f"{name}/h"


def source_steps(weights: Array, num_sources: int) -> Array:
    """Choose steps with weight, evenly spread and ending with the last: `[t, b]` -> `[sources, b]`."""
    rank = jnp.cumsum((weights > 0).astype(jnp.int32), axis=0)
    wanted = [-(-(j + 1) * rank[-1] // num_sources) for j in range(num_sources)]
    return jnp.stack([jnp.argmax(rank >= w, axis=0) for w in wanted])


def flow_record(norms: dict[str, np.ndarray]) -> dict:
    """Summarise `lag_norms` as plain lists and numbers.

    Args:
      norms: what `lag_norms` returns, name -> `[sources, k, b]`.

    Returns:
      `curves`, name -> median, low and high (10 and 90 %) over examples and sources of the log10 norm, by lag;
      `half_life`, name -> the fields of `HalfLife`; `not_finite`, the share of all norms that are not finite, which in
      the curves count as larger than any other.

    Raises:
      ValueError: norms of another number of axes.
    """
    for name, norm in norms.items():
        check_axes(f"norms[{name!r}]", np.asarray(norm), "sources, lags, examples")
    flat = {name: _reached(_flat(np.asarray(norm))) for name, norm in norms.items()}
    there = flat["all"][~np.isnan(flat["all"])]
    return {
        "curves": {name: spread(norm / np.log(10)) for name, norm in flat.items()},
        "half_life": {name: half_life(norm)._asdict() for name, norm in flat.items()},
        "not_finite": float(np.isposinf(there).mean()) if there.size else 0.0,
    }


def memory_horizon(
    model: Model,
    params: Params,
    batch: Batch,
    task: Task | None = None,
    num_sources: int = 1,
    first_lag: int = 0,
    last_lag: int | None = None,
) -> HalfLife:
    """Measure the reach of a gradient in one number: the half-life of its norm over all leaves of the carry.

    Args:
      model, params, batch, task, num_sources: as in `lag_norms`.
      first_lag, last_lag: as in `half_life`.

    Returns:
      The half-life.

    Raises:
      ValueError: the loss is not finite, since its gradient says nothing then, or lags lie beyond the steps.
    """
    steps = batch.weights.shape[0]
    if not 0 <= first_lag < (steps - 1 if last_lag is None else last_lag) < steps:
        raise ValueError(f"lags must lie within 0 to {steps - 1}, first before last, got {first_lag} and {last_lag}")
    loss = float(model.loss(params, batch)[0])
    if not np.isfinite(loss):
        raise ValueError(
            f"the loss is {loss} on this batch: its gradient has no horizon; take parameters of finite loss"
        )
    norms = np.asarray(lag_norms(model, params, batch, task, num_sources)["all"])
    return half_life(_flat(norms), first_lag, last_lag)


def _reached(norms: np.ndarray) -> np.ndarray:
    """Cut `[k, n]` after the last lag that any example reaches."""
    reached = np.flatnonzero(~np.isnan(norms).all(axis=1))
    return norms[: int(reached[-1]) + 1 if len(reached) else 0]


def _flat(norms: np.ndarray) -> np.ndarray:
    """Merge axes: `[sources, k, b]` -> `[k, sources * b]`."""
    return np.concatenate(list(norms), axis=1)


FLOAT32_FLOOR = float(np.log10(np.finfo(np.float32).tiny))


@figure(
    "Gradient flow",
    "Norm of the loss's gradient in the carry against lag, at initialisation and after training. Lines are "
    "medians over seeds of the median over examples, bands reach from the least to the greatest seed; crosses: "
    "no finite number.",
)
def gradient_norms(sweep: Any, look: Look, *, leaf: str = "all", against: str = "lag") -> "Figure":
    """Draw the norm of the loss's gradient in the carry, before and after training; into one axes: after training.

    One row of panels a setting, one curve a cell (or whatever the sweep's first axis is): the median over seeds of each
    seed's median over examples, with the range over seeds shaded; crosses where it is not finite.

    Args:
      leaf: a leaf of the carry as in `layer_0/h`, or "all".
      against: "lag", or "t" for tasks whose loss is read at the last step.
    """
    from rnngen.plotting.style import draw_curves, literal

    rows = diagnosed(sweep, "gradient_flow", {"curves": {...: CURVE}})
    names = list(dict.fromkeys(rows["panel"]))
    rows, colour = look.curves(rows)
    check_readable(len(names), len(colour))
    moments = {name: look.moments(sweep.moments(rows[rows["panel"] == name])) for name in names}
    figure, grid = look.panels(len(names), 1 if look.single else 2, width=4.2, height=2.9, sharey="row")
    for line, (panel, parts) in zip(grid, moments.items(), strict=True):
        for axes, (moment, chosen) in zip(line, parts.items(), strict=True):
            for label, group in chosen.groupby("curve", sort=False):
                curves = [c[leaf]["median"] for c in group["curves"] if leaf in c]
                draw_curves(axes, str(label), colour[str(label)], curves, reverse=against == "t")
            axes.set_title(f"{literal(panel)}, {moment}" if panel else moment)
        _decorate_norms(line, leaf, against)
    look.legend(figure)
    return figure


def _decorate_norms(line: np.ndarray, leaf: str, against: str) -> None:
    from rnngen.plotting.style import powers_of_ten

    lowest = min(axes.get_ylim()[0] for axes in line)
    for axes in line:
        if lowest < FLOAT32_FLOOR:
            axes.axhline(FLOAT32_FLOOR, color="0.6", linestyle=":", linewidth=1)
            axes.annotate(
                "smallest normal float32", (0.98, FLOAT32_FLOOR), xycoords=("axes fraction", "data"), ha="right",
                va="bottom", fontsize=7, color="0.4",
            )  # fmt: skip
        powers_of_ten(axes)
        axes.set_xlabel(
            "lag: steps back from the loss" if against == "lag" else "time step t (the loss is read at the last)"
        )
    letter = "carry" if leaf == "all" else leaf.split("/")[-1] + "_t"
    line[0].set_ylabel(rf"$\|\partial L / \partial {letter}\|$" if leaf != "all" else "norm of dL / d carry")


DIAGNOSIS = Kind("gradient_flow", gradient_flow_diagnosis, gradient_norms)
