"""Losses of a task, and means over the steps that count."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp

from rnngen.heads import Head
from rnngen.types import Array


class RootMean(NamedTuple):
    """The (sum, count) of a metric that is the root of a mean, such as the root mean square of errors."""

    total: Any
    weight: Any


def mean_of(metric: tuple[Any, Any]) -> Any:
    """Return the value of a metric from its (sum, count)."""
    total, count = metric
    return (total / count) ** 0.5 if isinstance(metric, RootMean) else total / count


def last_step(length: Array, longest: int) -> Array:
    """Weigh the last step of a sequence alone.

    Args:
      length: of the sequence.
      longest: t.

    Returns:
      Weights `[t]`: 1 at the last unmasked step, else 0.
    """
    return (jnp.arange(longest) == length - 1).astype(jnp.float32)


def mean_loss(per_step: Array, weights: Array) -> tuple[Array, tuple[Array, Array]]:
    """Average the losses of all steps by their weights.

    The sum and the count give exact means over many batches. Values at steps of weight 0 do not count, but for their
    gradient the loss must use `Batch.counted`.

    Args:
      per_step: losses `[t, *b]`.
      weights: `[t, *b]`.

    Returns:
      (mean, (sum, count)); the mean is 0 if no step has weight.
    """
    total, count = jnp.sum(jnp.where(weights != 0, per_step, 0) * weights), jnp.sum(weights)
    return total / jnp.where(count > 0, count, 1), (total, count)


def nll_loss(head: Head, more_metrics: Callable = lambda nll, batch: {}) -> Callable:
    """Make the loss of a head: its negative log-likelihood in nats per step.

    Args:
      head: the output distribution.
      more_metrics: (negative log-likelihood of each step `[t, *b]`, batch) -> {metric: (sum, count)}.

    Returns:
      `(outputs, batch) -> (scalar, {metric: (sum, count)})`.
    """

    def loss(outputs, batch):
        batch = batch.counted()
        nll = -head.log_prob(outputs, batch.targets)
        scalar, sums = mean_loss(nll, batch.weights)
        return scalar, {"loss": sums} | more_metrics(nll, batch)

    return loss


def whole_sequences(hits: Array, weights: Array) -> tuple[Array, Array]:
    """Count the sequences of which every step with weight is right.

    Args:
      hits: bool `[t, *b]`.
      weights: `[t, *b]`.

    Returns:
      (sum, count) of the share of such sequences.
    """
    whole = jnp.all(hits | (weights == 0), axis=0).astype(jnp.float32)
    return mean_loss(whole, jnp.max(weights, axis=0))[1]


def classification_loss(head: Head, correct: Callable | None = None, sequences: bool = False) -> Callable:
    """Make the cross-entropy loss in nats, with `accuracy` over the weighted steps.

    Args:
      head: a categorical one, or any other with `correct`.
      correct: (outputs, targets) -> bool `[t, *b]`; default: the most probable class is the target.
      sequences: also count the sequences without an error, as `sequence_accuracy`.

    Returns:
      `(outputs, batch) -> (scalar, {metric: (sum, count)})`.
    """
    correct = correct or (lambda outputs, targets: jnp.argmax(outputs, axis=-1) == targets)

    def loss(outputs, batch):
        batch = batch.counted()
        scalar, nll = mean_loss(-head.log_prob(outputs, batch.targets), batch.weights)
        hits = correct(outputs, batch.targets)
        sums = {"loss": nll, "accuracy": mean_loss(hits.astype(jnp.float32), batch.weights)[1]}
        return scalar, sums | ({"sequence_accuracy": whole_sequences(hits, batch.weights)} if sequences else {})

    return loss
