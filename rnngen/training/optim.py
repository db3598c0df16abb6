"""The update, from optax: clipping, then the optimiser, with its hyperparameters in `inject_hyperparams`."""

import inspect
import warnings
from collections.abc import Callable
from typing import NamedTuple

import jax
import optax

from rnngen.registry import find
from rnngen.types import Params, PyTree


def momentum(learning_rate, decay: float = 0.9, nesterov: bool = False) -> optax.GradientTransformation:
    """Stochastic gradient descent with momentum.

    Args:
      learning_rate: a number, or a schedule.
      decay: of the momentum.
      nesterov: look ahead.

    Returns:
      The optax transformation.
    """
    return optax.sgd(learning_rate, momentum=decay, nesterov=nesterov)


def sgd(learning_rate) -> optax.GradientTransformation:
    """Plain gradient descent.

    Args:
      learning_rate: a number, or a schedule.

    Returns:
      The optax transformation.
    """
    return optax.sgd(learning_rate)


def rmsprop(learning_rate, decay: float = 0.9, eps: float = 1e-8) -> optax.GradientTransformation:
    """RMSprop (Tieleman and Hinton 2012).

    Args:
      learning_rate: a number, or a schedule.
      decay: of the mean of squares.
      eps: added to the root.

    Returns:
      The optax transformation.
    """
    return optax.rmsprop(learning_rate, decay=decay, eps=eps)


def adam(learning_rate, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> optax.GradientTransformation:
    """Adam (Kingma and Ba 2015).

    Args:
      learning_rate: a number, or a schedule.
      b1, b2: decay of the means of the gradient and of its square.
      eps: added to the root.

    Returns:
      The optax transformation.
    """
    return optax.adam(learning_rate, b1=b1, b2=b2, eps=eps)


def adamw(
    learning_rate, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8, weight_decay: float = 1e-4
) -> optax.GradientTransformation:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019).

    Args:
      learning_rate: a number, or a schedule.
      b1, b2: decay of the means of the gradient and of its square.
      eps: added to the root.
      weight_decay: share of each weight that is subtracted, times the rate.

    Returns:
      The optax transformation.
    """
    return optax.adamw(learning_rate, b1=b1, b2=b2, eps=eps, weight_decay=weight_decay)


OPTIMIZERS = {"adam": adam, "adamw": adamw, "momentum": momentum, "rmsprop": rmsprop, "sgd": sgd}


def constant(learning_rate: float, steps: int) -> Callable:
    """Keep the learning rate constant.

    Args:
      learning_rate: at the start.
      steps: updates in the whole run.

    Returns:
      step -> rate.
    """
    return optax.constant_schedule(learning_rate)


def cosine(learning_rate: float, steps: int, final: float = 0.0) -> Callable:
    """Decay from the learning rate to `final` times it, along half a cosine over the whole run.

    Args:
      learning_rate: at the start.
      steps: updates in the whole run.
      final: share of the rate that is left at the end.

    Returns:
      step -> rate.
    """
    return optax.cosine_decay_schedule(learning_rate, steps, alpha=final)


def warmup_cosine(learning_rate: float, steps: int, warmup_steps: int = 100, final: float = 0.0) -> Callable:
    """Warm up linearly from 0 over `warmup_steps`, then decay along half a cosine to `final` times the learning rate.

    Args:
      learning_rate: after the warm-up.
      steps: updates in the whole run.
      warmup_steps: updates of the warm-up.
      final: share of the rate that is left at the end.

    Returns:
      step -> rate.

    Raises:
      ValueError: the run is no longer than the warm-up.
    """
    if not 0 <= warmup_steps < steps:
        raise ValueError(f"warmup_steps must be below the {steps} steps of the run, got {warmup_steps}")
    return optax.warmup_cosine_decay_schedule(0.0, learning_rate, warmup_steps, steps, end_value=final * learning_rate)


def exponential(learning_rate: float, steps: int, decay_rate: float = 0.5, decay_steps: int = 1000) -> Callable:
    """Multiply by `decay_rate` every `decay_steps`, smoothly; constant, with a warning, where one of them is 0.

    Args:
      learning_rate: at the start.
      steps: updates in the whole run.
      decay_rate: factor.
      decay_steps: updates between two factors.

    Returns:
      step -> rate.

    Raises:
      ValueError: one is negative.
    """
    for name, number in {"decay_rate": decay_rate, "decay_steps": decay_steps}.items():
        if not number >= 0:
            raise ValueError(f"{name} must be positive, got {number}")
        if not number:
            warnings.warn(f"{name} is 0: the learning rate stays as it is", stacklevel=2)
            return constant(learning_rate, steps)
    return optax.exponential_decay(learning_rate, decay_steps, decay_rate)


SCHEDULES = {"constant": constant, "cosine": cosine, "exponential": exponential, "warmup_cosine": warmup_cosine}


class Optimizer(NamedTuple):
    """An optax transformation that also returns the clipped gradients, so that their norm can be reported.

    Attributes:
      init: (params) -> state.
      update: (gradients, state, params) -> (updates, state, clipped gradients).
    """

    init: Callable[[Params], PyTree]
    update: Callable[[PyTree, PyTree, Params], tuple[PyTree, PyTree, PyTree]]


def build_optimizer(
    name: str = "adam",
    learning_rate: float = 1e-3,
    *,
    steps: int,
    clip_norm: float = 0.0,
    clip_value: float = 0.0,
    schedule: str = "constant",
    schedule_kwargs: dict | None = None,
    kwargs: dict | None = None,
) -> Optimizer:
    """Build the optimiser of a name, after clipping by value and then by global norm.

    Args:
      name: in `OPTIMIZERS`, or `package.module:factory`.
      learning_rate: at the start.
      steps: updates in the whole run, for the schedules.
      clip_norm: the global norm to which gradients are scaled down; 0: they are not.
      clip_value: bound on each entry of the gradient; 0: none.
      schedule: in `SCHEDULES`, or `package.module:factory`.
      schedule_kwargs: arguments of the schedule.
      kwargs: arguments of the optimiser.

    Returns:
      The optimiser.

    Raises:
      ValueError: a name or argument is unknown, or a number out of range.
    """
    if not learning_rate > 0:
        raise ValueError(f"learning_rate must be positive, got {learning_rate}")
    for label, number in {"clip_norm": clip_norm, "clip_value": clip_value}.items():
        if not number >= 0:
            raise ValueError(f"{label} must be positive, or 0 for no clipping, got {number}")
    rule = find(OPTIMIZERS, name, "optimiser")
    if "learning_rate" not in inspect.signature(rule).parameters:
        raise ValueError(f"{name} takes no learning_rate, as an optimiser does")
    rate = find(SCHEDULES, schedule, "schedule")(learning_rate, steps, **(schedule_kwargs or {}))
    # A constant rate is a number in the state, so that each trial of a pack can have its own.
    rate = learning_rate if schedule == "constant" else rate
    clip = optax.chain(optax.identity(), *_clips(clip_norm, clip_value))
    rule = optax.inject_hyperparams(rule)(learning_rate=rate, **(kwargs or {}))

    # optax mixes its integer step count with injected float hyperparameters.
    def init(params):
        with jax.numpy_dtype_promotion("standard"):
            return clip.init(params), rule.init(params)

    def update(gradients, state, params):
        with jax.numpy_dtype_promotion("standard"):
            clipped, clip_state = clip.update(gradients, state[0], params)
            updates, rule_state = rule.update(clipped, state[1], params)
        return updates, (clip_state, rule_state), clipped

    return Optimizer(init, update)


def _clips(clip_norm, clip_value) -> list[optax.GradientTransformation]:
    clips = []
    if clip_value:
        clips.append(optax.inject_hyperparams(optax.clip)(max_delta=clip_value))
    if clip_norm:
        clips.append(optax.inject_hyperparams(optax.clip_by_global_norm)(max_norm=clip_norm))
    return clips
