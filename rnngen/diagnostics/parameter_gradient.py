r"""The parameters' gradient as a sum over lags: which part of it comes from how far back.

A parameter acts at every step. Of a loss at step tau, the gradient is the sum over lags k of the derivative through the
step tau - k alone,

$$\frac{dL}{dW} = \sum_k \frac{\partial L}{\partial W_{\tau - k}}, $$

with $W_t$ the parameter as step t sees it. Lag 0 is what needs no derivative through the carry. The initial carry,
where parameters make it, counts as one step before the first. What `cells.credit` changes is changed here too.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.cells import Cell
from rnngen.diagnostics.diagnosis import Diagnosis, Kind, flags
from rnngen.diagnostics.gradient_flow import summed_loss
from rnngen.diagnostics.horizon import source_steps
from rnngen.engines import prepare_unroll, trees, unroll
from rnngen.engines.steps import full_step, project
from rnngen.models import Model, stepwise
from rnngen.plotting.figure import Look, figure
from rnngen.plotting.records import before_and_after, diagnosed
from rnngen.tasks import Task
from rnngen.types import Array, Batch, Carry, Params, PyTree, check_positive, named

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class LagShares(NamedTuple):
    """Parts of each parameter's gradient; k lags, the last of them of the initial carry.

    Attributes:
      norm: parameter -> `[k]`, the norm of the part.
      cosine: parameter -> `[k]`, of the part with the whole; 0 where one of them is 0.
      whole: parameter -> [], the norm of the whole.
      beyond: parameter -> `[k]`, the norm of the sum of the parts from this lag on, over that of the whole.
    """

    norm: dict[str, Array]
    cosine: dict[str, Array]
    whole: dict[str, Array]
    beyond: dict[str, Array]


def parameter_gradient_diagnosis(sources: int = 1) -> Diagnosis:
    """Norm of each parameter's gradient by lag, its cosine with the whole, and the share that comes from beyond.

    Args:
      sources: steps with a loss, of each example, that a gradient starts from.

    Returns:
      The diagnosis.
    """
    check_positive(sources=sources)

    def measure(model, params, batch, task):
        return parameter_gradient_by_lag(model, params, batch, task, sources)

    def record(found):
        return {name: {n: np.asarray(x).tolist() for n, x in of.items()} for name, of in found._asdict().items()}

    return Diagnosis(measure, record)


def parameter_gradient_by_lag(
    model: Model, params: Params, batch: Batch, task: Task | None = None, num_sources: int = 1
) -> LagShares:
    """Measure how much of each parameter's gradient comes from how far back; no gradient is stored by lag.

    Args:
      model, params, batch, task: as in `lag_norms`; the model runs step by step.
      num_sources: steps with weight, of each example, chosen as in `lag_norms`, whose losses are summed.

    Returns:
      The parts, by the parameter's path, as `layer_0/recurrent_kernel`; and of `all`.
    """
    start, part = backward_by_lag(stepwise(model), params, batch, task, num_sources)
    lags = jnp.arange(batch.weights.shape[0] + 1)

    def add(state, lag):
        direction, total = state
        direction, gradient = part(direction, lag)
        return (direction, trees.add(total, gradient)), None

    nothing = jax.tree.map(jnp.zeros_like, params)
    (_, whole), _ = jax.lax.scan(add, (start, nothing), lags)
    whole_norm = norms_by_name(whole)

    def shares(state, lag):
        direction, rest = state
        beyond = norms_by_name(rest)
        direction, gradient = part(direction, lag)
        norm = norms_by_name(gradient)
        along = summed_by_name(jax.tree.map(lambda g, w: jnp.sum(g * w), gradient, whole))
        cosine = {name: ratio(along[name], norm[name] * whole_norm[name]) for name in norm}
        share = {name: ratio(beyond[name], whole_norm[name]) for name in norm}
        return (direction, jax.tree.map(jnp.subtract, rest, gradient)), (norm, cosine, share)

    _, (norm, cosine, beyond) = jax.lax.scan(shares, (start, whole), lags)
    return LagShares(norm, cosine, whole_norm, beyond)


def parameter_gradients(
    model: Model, params: Params, batch: Batch, task: Task | None = None, num_sources: int = 1
) -> Params:
    """Compute the parts of the gradient themselves; they take the memory of the parameters for each step.

    Args:
      model, params, batch, task, num_sources: as in `parameter_gradient_by_lag`.

    Returns:
      Like the parameters, `[k, ...]` on each leaf; the sum over k is the gradient of the summed loss.
    """
    start, part = backward_by_lag(stepwise(model), params, batch, task, num_sources)
    return jax.lax.scan(part, start, jnp.arange(batch.weights.shape[0] + 1))[1]


def backward_by_lag(
    model: Any,
    params: Params,
    batch: Batch,
    task: Task | None,
    num_sources: int,
    cell: Cell | None = None,
    estimate: Callable[[Array, Carry], Carry] = lambda lag, direction: direction,
) -> tuple[Carry, Callable[[Carry, Array], tuple[Carry, Params]]]:
    """Return the gradient in the last carry, and one step back: (gradient `[s, b, ...]`, lag) -> the same, the part.

    All examples and sources are pulled back together, aligned at their own sources.

    Args:
      cell: the model as one cell, with another credit than its own.
      estimate: (lag, gradient in the carry that leaves the step) -> what the parameters of that step have of it.
    """
    cell, examples = cell or model.cell, batch.weights.shape[1]
    sources = source_steps(batch.weights, num_sources)
    entering = lambda params, carry, inputs, after: carry  # noqa: E731
    _, ys, carries = unroll(cell, params, batch.inputs, **flags(batch), record=entering)
    dys = jax.grad(summed_loss(model, _at_sources(batch, sources), task))(ys)
    step, window = full_step(cell), cell.credit.window if cell.credit else 0
    run = prepare_unroll(cell, params, batch.inputs, **flags(batch))
    prepared, pull_prepared = trees.vjp(cell.prepare, params)
    first = _repeated(trees.floats(run.carry), len(sources))

    def part(direction, lag):
        at = sources - lag
        carry, inputs, dy = (_taken(tree, at) for tree in (carries, run.inputs, dys))
        # At lag 0 the loss itself; no source has another loss on its way.
        dy = jax.tree.map(lambda d: jnp.where(lag == 0, d, 0), dy)
        there = (at >= 0) & ((lag < window) | (window == 0))
        dy, after = _kept(there, dy), _kept(there, direction)

        def one(p, c):
            return step(p, c, project(cell, p, inputs))

        _, pull = trees.vjp(one, prepared, carry)
        _, before = pull((after, dy))
        dparams, _ = pull((estimate(lag, after), dy))
        _, pull_first = trees.vjp(lambda p: cell.init_carry(p, (len(sources), examples)), prepared)
        (dfirst,) = pull_first(_kept((at == -1) & ((lag < window) | (window == 0)), estimate(lag, direction)))
        dprepared = trees.add(dparams, dfirst)
        # Beyond the first step nothing is left; before it the gradient waits for the initial carry.
        return _kept(at >= 0, before), pull_prepared(dprepared)[0]

    return jax.tree.map(jnp.zeros_like, first), part


def _at_sources(batch: Batch, sources: Array) -> Batch:
    chosen = jnp.any(jnp.arange(len(batch.weights))[:, None] == sources[:, None], axis=0)
    return batch._replace(weights=jnp.where(chosen, batch.weights, 0))


def _repeated(tree: PyTree, times: int) -> PyTree:
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (times, *x.shape)), tree)


def _taken(tree: PyTree, steps: Array) -> PyTree:
    """Take `[t, b, ...]` at steps `[s, b]` -> `[s, b, ...]`; outside of the sequence its ends."""
    return jax.tree.map(lambda x: x[jnp.clip(steps, 0, len(x) - 1), jnp.arange(steps.shape[1])], tree)


def _kept(there: Array, tree: PyTree) -> PyTree:
    """Set `[s, b, ...]` to zero where `there` `[s, b]` is False."""
    return jax.tree.map(lambda x: jnp.where(there.reshape(there.shape + (1,) * (x.ndim - 2)), x, 0), tree)


def norms_by_name(gradients: Params) -> dict[str, Array]:
    """Return the norm of each leaf, and of all."""
    squares = jax.tree.map(lambda g: jnp.sum(g**2), gradients)
    return {name: jnp.sqrt(square) for name, square in summed_by_name(squares).items()}


def summed_by_name(numbers: Params) -> dict[str, Array]:
    """Name the numbers of a tree by their paths, with the sum over all."""
    by_name = dict(named(numbers))
    return by_name | {"all": jnp.stack(list(by_name.values())).sum()}


def ratio(part: Array, whole: Array) -> Array:
    """Divide; 0 where the whole is 0."""
    return jnp.where(whole > 0, part / jnp.where(whole > 0, whole, 1), 0)


SHAPE = {"norm": {...: [float]}, "cosine": {...: [float]}, "beyond": {...: [float]}}
_LABELS = {"norm": "norm", "cosine": "cosine with the whole", "beyond": "share from this lag on"}


@figure(
    "Parameters' gradient by lag",
    "The part of the parameters' gradient that comes through the step k before the loss. Lines are medians over seeds, "
    "bands reach from the least to the greatest seed.",
    name="parameter_gradient_by_lag",
)
def plot_parameter_gradient(sweep: Any, look: Look, *, leaf: str = "all", show: str = "beyond") -> "Figure":
    """Draw the parameters' gradient by lag, before and after training.

    Args:
      leaf: a parameter, as `layer_0/recurrent_kernel`, or "all".
      show: "norm" of a part, its "cosine" with the whole, or the share from "beyond" a lag.
    """
    if show not in _LABELS:
        raise ValueError(f"show must be one of {', '.join(_LABELS)}, got {show!r}")
    rows = diagnosed(sweep, "parameter_gradient_by_lag", SHAPE)
    points = lambda row: _points(row[show].get(leaf, []), show)  # noqa: E731
    return before_and_after(sweep, look, rows, points, xlabel="lag", ylabel=_LABELS[show], log=show == "norm")


def _points(values: list[float], show: str) -> dict[float, float]:
    curve = np.asarray(values, float)
    if show == "norm":
        with np.errstate(divide="ignore"):
            curve = np.log10(curve)
    return dict(enumerate(curve.tolist()))


DIAGNOSIS = Kind("parameter_gradient_by_lag", parameter_gradient_diagnosis, plot_parameter_gradient)
