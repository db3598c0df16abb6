"""Elementwise activations by name: those of `jax.nn`."""

from collections.abc import Callable

import jax

from rnngen.registry import find

_NAMES = (
    "celu elu gelu hard_sigmoid hard_silu hard_swish hard_tanh identity leaky_relu log_sigmoid mish "
    "relu relu6 selu sigmoid silu soft_sign softplus sparse_plus sparse_sigmoid squareplus swish tanh"
)
ACTIVATIONS: dict[str, Callable] = {name: getattr(jax.nn, name) for name in _NAMES.split()}


def get_activation(activation: str | Callable) -> Callable:
    """Return the activation of a name, or the function itself.

    Args:
      activation: a name in `ACTIVATIONS`, or a function.

    Returns:
      The elementwise function.

    Raises:
      ValueError: the name is unknown.
    """
    return activation if callable(activation) else find(ACTIVATIONS, activation, "activation")
