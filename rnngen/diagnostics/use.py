"""Use: how much the loss rises where the past is replaced by that of other examples.

Two replacements of what is k steps ago and older, of a loss read at step tau:

- `carry`: the carry that leaves step tau - k is that of another sequence at the same step. This is the same as to give
  the network all of the other's inputs up to there. What the network meets is then as usual, but about another example.
- `inputs`: the input of each step up to tau - k comes from an example of its own, so that also what belongs together in
  a sequence is lost.

A network can remember what it does not use: replacing that changes nothing.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.diagnostics.diagnosis import Diagnosis, Kind
from rnngen.diagnostics.gradient_flow import weighed_at
from rnngen.diagnostics.horizon import source_steps
from rnngen.diagnostics.lags import check_examples, check_given, log_lags
from rnngen.models import Model
from rnngen.plotting.figure import Look, figure
from rnngen.plotting.records import before_and_after, diagnosed
from rnngen.tasks import Task
from rnngen.tasks.losses import nll_loss
from rnngen.types import Array, Batch, Params, check_positive

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Use(NamedTuple):
    """Losses at single steps, of s sources an example; nan where a source has no weight, or no step k before it.

    Attributes:
      lags: `[k]`.
      loss: `[s, b]`, as it is.
      carry: `[k, s, b]`, with the past of another sequence; the mean over draws.
      inputs: `[k, s, b]`, with each past input of another example.
    """

    lags: Array
    loss: Array
    carry: Array
    inputs: Array


def use_diagnosis(lags: tuple[int, ...] | None = None, sources: int = 1, draws: int = 4) -> Diagnosis:
    """How much the loss rises where what is k steps ago and older is replaced by that of other examples.

    Args:
      lags: steps back; default: a logarithmic grid over the sequence.
      sources: steps with a loss, of each example, at which it is read.
      draws: other examples for each.

    Returns:
      The diagnosis.
    """
    check_positive(sources=sources, draws=draws)

    def measure(model, params, batch, task):
        return use(model, params, batch, task, num_sources=sources, lags=lags, draws=draws)

    return Diagnosis(measure, use_record, lambda size, length: check_given(lags, length), steps=False, least_examples=2)


def use(
    model: Model,
    params: Params,
    batch: Batch,
    task: Task | None = None,
    *,
    num_sources: int = 1,
    lags: tuple[int, ...] | None = None,
    draws: int = 4,
) -> Use:
    """Measure the loss with what is k steps ago and older replaced by that of other examples of the batch.

    Args:
      model, params, batch: a model, its parameters, and a batch `[t, b]`.
      task: whose loss is read; default: the negative log-likelihood of the model's head.
      num_sources: steps with weight at which the loss is read, chosen as in `lag_norms`.
      lags: steps back; default: a logarithmic grid from 0, where nothing is left, to t - 1.
      draws: other examples that each example gets its past from.

    Returns:
      The losses.

    Raises:
      ValueError: one example alone, or lags beyond the sequence.
    """
    length, examples = batch.weights.shape
    check_examples("use", examples)
    grid = jnp.asarray(log_lags(length, lags))
    sources = source_steps(batch.weights, num_sources)
    losses = _losses_of(model, params, batch, task)
    shifts = jnp.arange(1, min(draws, examples - 1) + 1)
    mixed = jax.random.randint(jax.random.key(0), (len(shifts), length, 1), 1, examples)

    def of_lag(lag):
        past = jnp.arange(length)[:, None] <= (sources - lag)[:, None]  # [s, t, b]

        def with_past(shift, whole):
            return jax.lax.map(lambda at: losses(_replaced(batch, shift, at[0], whole), at[1]), (past, sources))

        carry = jax.lax.map(lambda shift: with_past(jnp.full((length, 1), shift), True), shifts)
        inputs = jax.lax.map(lambda shift: with_past(shift, False), mixed)
        reached = sources >= lag
        return [jnp.where(reached, found.mean(axis=0), jnp.nan) for found in (carry, inputs)]

    carry, inputs = jax.lax.map(of_lag, grid)
    return Use(grid, jax.lax.map(lambda source: losses(batch, source), sources), carry, inputs)


def _losses_of(model: Model, params: Params, batch: Batch, task: Task | None):
    """Return (batch with other inputs, step `[b]`) -> each example's loss at that step `[b]`, nan without weight."""
    loss = nll_loss(model.head) if task is None else task.objective.loss

    def of_example(outputs, one):
        alone = jax.tree.map(lambda x: x[:, None], (outputs, one))
        return loss(*alone)[1]["loss"][0]

    def losses(given, source):
        outputs = model.apply(params, given.inputs, mask=given.mask, resets=given.resets)[1]
        weighed = weighed_at(batch, source)
        found = jax.vmap(of_example, in_axes=1)(outputs, weighed)
        return jnp.where(weighed.weights.max(axis=0) > 0, found, jnp.nan)

    return losses


def _replaced(batch: Batch, shifts: Array, past: Array, whole: bool) -> Batch:
    """Return the batch with the past from other examples.

    Args:
      batch: `[t, b]`.
      shifts: `[t, 1]`, how many examples on the other one is, at each step.
      past: bool `[t, b]`.
      whole: with the other's mask and resets; else inputs alone, where the other has one.
    """
    length, examples = past.shape
    others = (jnp.arange(examples) + shifts) % examples
    there = past if whole or batch.mask is None else past & batch.mask[jnp.arange(length)[:, None], others]

    def replaced(own):
        other = own[jnp.arange(length)[:, None], others]
        return jnp.where(there.reshape(there.shape + (1,) * (own.ndim - 2)), other, own)

    mask, resets = (x if x is None or not whole else replaced(x) for x in (batch.mask, batch.resets))
    return batch._replace(inputs=replaced(batch.inputs), mask=mask, resets=resets)


def use_record(found: Use) -> dict:
    """Summarise `use` as plain lists and numbers.

    Args:
      found: what `use` returns.

    Returns:
      `lags`, those that two examples reach; `loss`, the mean over sources and examples; `carry` and `inputs`, each
      `{"rise": [...], "error": [...], "change": [...]}` by lag: the mean rise of the loss over examples, its standard
      error, and the mean absolute change.
    """
    loss = np.asarray(found.loss, float)
    rises = {name: np.asarray(getattr(found, name), float) - loss for name in ("carry", "inputs")}
    reached = np.array([(~np.isnan(rise)).any(axis=0).sum() > 1 for rise in rises["carry"]], bool)
    return {
        "lags": np.asarray(found.lags)[reached].tolist(),
        "loss": float(np.nanmean(loss)) if (~np.isnan(loss)).any() else float("nan"),
        **{name: _summary(rise[reached]) for name, rise in rises.items()},
    }


def _summary(rises: np.ndarray) -> dict[str, list[float]]:
    """Summarise rises `[k, s, b]` over examples, each the mean over its sources."""
    each = [np.nanmean(one[:, ~np.isnan(one).all(axis=0)], axis=0) for one in rises]
    return {
        "rise": [float(one.mean()) for one in each],
        "error": [float(one.std(ddof=1) / np.sqrt(one.size)) for one in each],
        "change": [float(np.abs(one).mean()) for one in each],
    }


CURVES = {"rise": [float], "error": [float], "change": [float]}
SHAPE = {"lags": [float], "carry": CURVES, "inputs": CURVES}


@figure(
    "Use",
    "Rise of the loss where what is k steps ago and older is that of other examples. Lines are medians over seeds, "
    "bands reach from the least to the greatest seed.",
    name="use",
)
def plot_use(sweep: Any, look: Look, *, replaced: str = "carry") -> "Figure":
    """Draw how much the loss rises where the past is another's, before and after training.

    Args:
      replaced: "carry", by that of another sequence, or "inputs", each by that of another example.
    """
    rows = diagnosed(sweep, "use", SHAPE)
    points = lambda row: dict(zip(row["lags"], row[replaced]["rise"], strict=False))  # noqa: E731
    return before_and_after(sweep, look, rows, points, xlabel="lag", ylabel="rise of the loss")


DIAGNOSIS = Kind("use", use_diagnosis, plot_use)
