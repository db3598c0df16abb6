"""Memory: how well the input k steps ago can be read from the carry (Jaeger 2001, for the whole carry of any cell).

A linear readout predicts the input at step t - k from the carry that leaves step t, by ridge regression. Inputs and
carries are seen as differences from their means at the same step, so that a carry that only tells the time reads
nothing. The score is R^2 on examples that the readout was not fitted to.

Two biases are known. In a sample of N, n features that know nothing still fit n / N of a target's variance, and summed
over lags this exceeds any capacity: here the score is of held-out examples, and counts only above a noise floor, the
best of the same regression on the inputs of other examples. And the memory of a linear network, computed from powers of
its matrices, suffers from their conditioning (Ballarin et al. 2023, arXiv 2305.01457): here nothing is inverted but a
covariance with a penalty, and a direction below rounding is lost from the score, never added to it.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.cells import Cell
from rnngen.diagnostics.diagnosis import Diagnosis, Kind
from rnngen.diagnostics.lags import check_examples, check_given, log_lags
from rnngen.diagnostics.ridge import scores
from rnngen.diagnostics.vector_steps import VectorSteps
from rnngen.models import stepwise
from rnngen.plotting.figure import Look, figure
from rnngen.plotting.records import before_and_after, diagnosed
from rnngen.types import Array, Params, check_positive

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Memory(NamedTuple):
    """Scores of a readout of the input k steps ago, by lag.

    Attributes:
      lags: `[k]`.
      r2: `[k]`, the share of the input's variance, over all its features, that is read; 0 where nothing is.
      floor: `[k]`, the same of the inputs of other examples, the best of `SHUFFLES` tries.
      features: `[k, d]`, as r2, of each feature alone; 0 unless above its own floor.
      varies: `[d]`, True for the features that differ between examples.
      accuracy, chance: `[k]`, of the most probable token, from the carry and from its frequency; None for floats.
      pairs: `[k]`, the number of carries and inputs that were compared.
    """

    lags: Array
    r2: Array
    floor: Array
    features: Array
    varies: Array
    accuracy: Array | None
    chance: Array | None
    pairs: Array


def memory_diagnosis(lags: tuple[int, ...] | None = None, folds: int = 5) -> Diagnosis:
    """How well the input k steps ago is read from the carry, and, where the task knows it, the input that it needs.

    Args:
      lags: steps back; default: a logarithmic grid over the sequence.
      folds: parts of the examples, each of which is left out of a fit once.

    Returns:
      The diagnosis.
    """
    check_positive(folds=folds)

    def measure(model, params, batch, task):
        cell, tokens = stepwise(model).cell, model.input_spec.dim if model.input_spec.tokens else 0
        options = {"lags": lags, "tokens": tokens, "folds": folds, "mask": batch.mask, "resets": batch.resets}
        found: dict[str, Any] = {"all": memory(cell, params, batch.inputs, **options)}
        if task.needs is not None:
            sources, reads = task.needs(batch)
            needed = memory(cell, params, batch.inputs, steps=sources, **options)
            found |= {"needed": needed, "needed_lags": jnp.max(reads - sources, axis=0)}
        return found

    def record(found):
        needed = {}
        if "needed" in found:
            lag, low, high = (float(np.quantile(found["needed_lags"], q)) for q in (0.5, 0.0, 1.0))
            needed = {"needed": _curves(found["needed"]) | {"lag": lag, "low": low, "high": high}}
        return _curves(found["all"]) | {"capacity": capacity(found["all"])} | needed

    return Diagnosis(measure, record, lambda size, length: check_given(lags, length), least_examples=2)


def memory(
    cell: Cell,
    params: Params,
    xs: Array,
    *,
    lags: tuple[int, ...] | None = None,
    steps: Array | None = None,
    tokens: int = 0,
    folds: int = 5,
    mask: Array | None = None,
    resets: Array | None = None,
) -> Memory:
    """Measure how well the input k steps ago can be read from the carry, by linear readouts fitted to other examples.

    All examples and steps at a lag share one readout. Its penalty is the best of `PENALTIES` on held-out examples; the
    noise floor makes the same choice. Costs the cube of the carry's size for each lag and fold.

    Args:
      cell, params, mask, resets: as in `unroll`.
      xs: inputs `[t, b, d]`, or tokens `[t, b]`.
      lags: steps back; default: a logarithmic grid from 0, the input of the carry's own step, to t - 1.
      steps: `[e, b]`, the steps whose inputs are read; default: every step, from carries of the second half of a
        sequence, by which the start is forgotten.
      tokens: the number of tokens, whose one-hot codes are read; 0 for floats.
      folds: parts of the examples, each of which is left out of a fit once.

    Returns:
      The scores.

    Raises:
      ValueError: one example alone, or lags beyond the sequence.
    """
    length, examples = xs.shape[:2]
    check_examples("memory", examples)
    grid = jnp.asarray(log_lags(length, lags))
    there = jnp.ones((length, examples), bool) if mask is None else mask
    along = VectorSteps(cell, params, xs, mask=there, resets=resets)
    carries = along.vector(along.leaving())
    carries = carries - carries.mean(axis=(0, 1))  # far from zero, squares would lose their digits
    inputs = jax.nn.one_hot(xs, tokens, dtype=carries.dtype) if tokens else xs.astype(carries.dtype)
    inputs = jnp.where(there[..., None], inputs, 0)
    # Each lag is read at the same steps as far as it goes, so that the scores of all have one sum.
    earliest = jnp.sum(there, axis=0, dtype=jnp.int32) // 2 if steps is None else 0
    second_half = jnp.arange(length // 2 if mask is None else 0, length)[:, None]
    begun = None if resets is None else jnp.cumsum(resets, axis=0, dtype=jnp.int32)
    left_out = jnp.arange(examples) % folds == jnp.arange(min(folds, examples))[:, None]

    def of_lag(lag):
        read = jnp.broadcast_to(second_half, (len(second_half), examples)) if steps is None else steps + lag
        source = read - lag
        inside = (source >= 0) & (read < length) & (read >= earliest)
        # What was before a reset cannot be in the carry.
        same = True if begun is None else _at(begun, source) == _at(begun, read)
        weights = inside & _at(there, source) & _at(there, read) & same
        return scores(_at(carries, read), _at(inputs, source), weights.astype(carries.dtype), left_out, bool(tokens))

    found = Memory(grid, *jax.lax.map(of_lag, grid))
    return found._replace(varies=jnp.any(jnp.std(inputs, axis=1) > 1e-6, axis=0))


def capacity(found: Memory) -> float:
    """Sum the scores over lags and features, each counted where it is above its floor.

    For noise as input it is at most the carry's size, where the network has forgotten its start (Jaeger 2001). Lags
    between those measured are interpolated. The one-hot code of v tokens counts as its v - 1 free numbers.

    Args:
      found: what `memory` returned.

    Returns:
      The capacity, in features.
    """
    every = np.arange(int(found.lags[0]), int(found.lags[-1]) + 1)
    by_lag = np.sum(np.asarray(found.features, float), axis=1)
    if found.accuracy is not None:
        varying = max(int(np.sum(found.varies)), 1)
        by_lag = by_lag * (varying - 1) / varying
    return float(np.interp(every, found.lags, by_lag).sum())


def _at(values: Array, steps: Array) -> Array:
    """Take values `[t, b, ...]` at steps `[e, b]` -> `[e, b, ...]`; beyond the end the last."""
    return values[jnp.clip(steps, 0, len(values) - 1), jnp.arange(values.shape[1])]


def _curves(found: Memory) -> dict:
    """Return the curves of a record, at the lags at which there was something to read."""
    there = np.asarray(found.pairs) > 0
    names = ["lags", "r2", "floor", *(("accuracy", "chance") if found.accuracy is not None else ())]
    return {name: np.asarray(getattr(found, name))[there].tolist() for name in names}


SHAPE = {"lags": [float], "r2": [float], "floor": [float]}


@figure(
    "Memory",
    "Share of the variance of the input k steps ago that a linear readout of the carry predicts on examples that it "
    "was not fitted to. Lines are medians over seeds, bands reach from the least to the greatest seed.",
    name="memory",
)
def plot_memory(sweep: Any, look: Look, *, of: str = "all") -> "Figure":
    """Draw how well the input k steps ago is read from the carry, before and after training.

    Args:
      of: "all" inputs, or those "needed", where the task knows them.
    """
    rows = diagnosed(sweep, "memory", SHAPE)
    return before_and_after(sweep, look, rows, lambda row: _points(row, of), xlabel="lag", ylabel="R$^2$")


def _points(row: Any, of: str) -> dict[float, float]:
    curves = row if of == "all" else row.get("needed")
    if not isinstance(curves, dict) and of != "all":
        return {}
    return dict(zip(curves["lags"], curves["r2"], strict=False))


DIAGNOSIS = Kind("memory", memory_diagnosis, plot_memory)
