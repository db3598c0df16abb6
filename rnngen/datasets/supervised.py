"""Objectives of supervised tasks: labels, bits or numbers to predict, of each sequence or of each of its steps.

A target that is NaN is missing, and counts in no metric. The weight of a step is the share of its targets that are
there, so that means are over targets.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.datasets.interface import Interface, check_values
from rnngen.datasets.scaling import Scaling
from rnngen.heads import Head, bernoulli, categorical, gaussian, laplace
from rnngen.tasks.losses import RootMean, classification_loss, mean_loss
from rnngen.types import Array, InputSpec, check_one_of, check_positive

_HEADS: dict[str, Callable[..., Head]] = {
    "mse": gaussian,
    "mae": laplace,
    "cross_entropy": categorical,
    "bernoulli": bernoulli,
}
LOSSES = tuple(_HEADS)
NUMBERS = ("mse", "mae")


def supervised(
    features: int,
    outputs: int,
    loss: str,
    tokens: bool = False,
    missing: bool = False,
    mean: tuple = (),
    scale: tuple = (),
    target_mean: tuple = (),
    target_scale: tuple = (),
    per_step: bool = False,
    single: bool = False,
) -> Interface:
    """Make the interface of a task with targets.

    Predictions are probabilities of classes `[..., outputs]` or of bits, or numbers in the data's own units.

    Args:
      features: of the inputs; of tokens their number.
      outputs: the number of classes, bits or numbers to predict.
      loss: "mse", "mae", "cross_entropy" or "bernoulli".
      tokens: inputs are tokens.
      missing: an input that is NaN is missing: it is 0 once it is scaled, and as many features say which are missing.
      mean, scale: of the inputs, see `Scaling`.
      target_mean, target_scale: of numbers to predict.
      per_step: a target at each step; else one a sequence, at its last step.
      single: one bit or number to predict has no axis of its own.

    Raises:
      ValueError: an argument is out of range.
    """
    check_positive(features=features, outputs=outputs)
    check_one_of(LOSSES, loss=loss)
    inputs = Scaling.of(mean, scale, features)
    targets = Scaling.of(target_mean, target_scale, outputs, "target_")
    head = _HEADS[loss](outputs)

    def encode(values: np.ndarray) -> np.ndarray:
        check_values(values, features, tokens, missing)
        return values.astype(np.int32) if tokens else encoded(values, inputs, missing)

    def decode(found: Array) -> np.ndarray:
        predicted = targets.unscaled(head.mean(found))
        return predicted[..., 0] if single else predicted

    spec = InputSpec(features * (2 if missing and not tokens else 1), tokens)
    return Interface(spec, head, objective(loss, head, targets.scale), encode, decode, per_step)


def encoded(values: np.ndarray, scaling: Scaling, missing: bool) -> np.ndarray:
    """Return the inputs of a model for values `[..., d]`: float32 `[..., d]`, or with `missing` `[..., 2 d]`."""
    scaled = scaling.scaled(values)
    return np.concatenate([np.nan_to_num(scaled), np.isnan(scaled)], -1, dtype=np.float32) if missing else scaled


def objective(loss: str, head: Head, scale: np.ndarray) -> Callable:
    """Return the loss of targets that were divided by `scale`; its other metrics are in the data's own units."""
    if loss == "cross_entropy":
        return classification_loss(head)
    own = jnp.asarray(scale, jnp.float32)
    return _of_each(_bits if loss == "bernoulli" else lambda outputs, targets: _errors(loss, outputs, targets, own))


def _of_each(measure: Callable) -> Callable:
    """Return the loss of a measure of each target: (outputs, targets) -> {metric: `[*t, *b, k]`}, the mean of k."""

    def loss(outputs: Array, batch: Any):
        batch = batch.counted()
        there = ~jnp.isnan(batch.targets)
        count = jnp.maximum(jnp.sum(there, axis=-1), 1).astype(outputs.dtype)
        each = measure(outputs, jnp.where(there, batch.targets, 0))
        of_step = {name: jnp.sum(jnp.where(there, values, 0), axis=-1) / count for name, values in each.items()}
        found = {name: mean_loss(values, batch.weights) for name, values in of_step.items()}
        sums = {name: RootMean(*pair) if name == "rmse" else pair for name, (_, pair) in found.items()}
        return found["loss"][0], sums

    return loss


def _errors(loss: str, outputs: Array, targets: Array, scale: Array) -> dict[str, Array]:
    error = outputs - targets
    absolute = jnp.abs(error)
    return {"loss": error**2 if loss == "mse" else absolute, "rmse": (scale * error) ** 2, "mae": scale * absolute}


def _bits(outputs: Array, targets: Array) -> dict[str, Array]:
    nats = -targets * jax.nn.log_sigmoid(outputs) - (1 - targets) * jax.nn.log_sigmoid(-outputs)
    return {"loss": nats, "accuracy": ((outputs > 0) == (targets > 0.5)).astype(outputs.dtype)}


def best_constant(loss: str, train: np.ndarray, test: np.ndarray, classes: int = 0) -> float:
    """Return the loss on `test` of the best constant prediction on `train`: of labels `[n]`, else of targets `[n, k]`.

    The mean for "mse", the median for "mae", and frequencies with one more of each for classes and bits.
    """
    if loss == "cross_entropy":
        counts = np.bincount(train, minlength=classes) + 1
        return float(-np.mean(np.log(counts / counts.sum())[test]))
    if loss == "bernoulli":
        there = ~np.isnan(train)
        on = (np.nansum(train, axis=0) + 1) / (there.sum(axis=0) + 2)
        return float(-np.nanmean(test * np.log(on) + (1 - test) * np.log1p(-on)))
    error = test - (np.nanmean if loss == "mse" else np.nanmedian)(train, axis=0)
    return float(np.nanmean(error**2 if loss == "mse" else np.abs(error)))
