"""The interface of each library's layer and training step, and the check that they compute the same."""

import importlib.util
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.engines import ENGINES

from .protocol import BenchError

INSTALL = "pip install -e '.[bench]'"
TOLERANCE = 1e-4


class Layer(NamedTuple):
    """One recurrent layer of one library, weights and input in it; both calls return when all is computed.

    forward: () -> ys `[t, b, h]`. both: () -> the loss mean(ys**2) and its gradient in all parameters, in any form.
    values: (what `both` returned) -> (loss, gradient of the recurrent kernel `[h, g*h]`, laid out as rnngen's);
      None where there is nothing to compare.
    same_values: it can express rnngen's cell. devices: how many of JAX's it runs on.
    """

    name: str
    forward: Callable[[], Any]
    both: Callable[[], Any]
    values: Callable[[Any], tuple[float, np.ndarray]] | None = None
    same_values: bool = True
    devices: int = 1


class Trainer(NamedTuple):
    """A model with its optimiser and a batch in it. step: () -> the loss before an update that is then made."""

    name: str
    step: Callable[[], Any]
    devices: int = 1


def jax_layer(name: str, run: Callable, params: Any, xs: Any, kernel: Callable, *, same_values: bool = True) -> Layer:
    """Make a layer on one device from run(params, xs) -> ys; kernel: gradient in params -> of the recurrent kernel."""

    def loss(params, xs):
        return jnp.mean(run(params, xs) ** 2)

    arguments = jax.device_put((params, xs), jax.devices()[0])
    return compiled_layer(name, run, jax.value_and_grad(loss), arguments, kernel, same_values=same_values)


def compiled_layer(
    name: str, run: Callable, gradient: Callable, arguments: tuple[Any, Any], kernel: Callable, **options: Any
) -> Layer:
    """Make a layer of run and gradient, both of (params, xs), which are `arguments`; kernel: see `jax_layer`."""
    forward, both = jax.jit(run), jax.jit(gradient)
    return Layer(
        name,
        lambda: jax.block_until_ready(forward(*arguments)),
        lambda: jax.block_until_ready(both(*arguments)),
        lambda result: (float(result[0]), np.asarray(kernel(result[1]))),
        **options,
    )


def installed(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return (the libraries that can be timed here, a line for each of the others)."""
    found, lines = [], []
    for name in names:
        if importlib.util.find_spec(name) is None:
            lines.append(f"{name} is not installed and left out; to have it: {INSTALL}")
        elif name == "torch" and jax.default_backend() != "cpu":
            lines.append(f"torch is timed on the CPU only and left out: JAX runs on {jax.default_backend()}")
        else:
            found.append(name)
    return found, lines


def known_engines(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return (the engines that rnngen has, a line for each of the others)."""
    names = list(names)
    missing = [name for name in names if name not in ENGINES]
    return [n for n in names if n in ENGINES], [f"rnngen has no engine {n!r}: left out" for n in missing]


def check_layers(layers: Iterable[Layer], reference: Layer, case: str) -> None:
    """Raise BenchError naming the first layer whose loss or gradient is not the reference's to `TOLERANCE`."""
    loss, gradient = _values(reference)
    for layer in layers:
        if layer.values is None or not layer.same_values:
            continue
        other_loss, other_gradient = _values(layer)
        if gradient.shape != other_gradient.shape:
            raise BenchError(f"{case}: {layer.name} has a recurrent kernel of shape {other_gradient.shape}")
        check_close(f"{case}: the loss of {layer.name}", other_loss, loss)
        check_close(f"{case}: the gradient of {layer.name}", other_gradient, gradient)


def check_close(what: str, value: Any, expected: Any, tolerance: float = TOLERANCE) -> None:
    """Raise BenchError unless |value - expected| <= tolerance |expected|, in the Euclidean norm; NaN raises."""
    error = np.linalg.norm(np.subtract(value, expected)) / np.linalg.norm(expected)
    if not error <= tolerance:
        raise BenchError(f"{what} differs from rnngen's by {error:.1e} of it, more than {tolerance:.0e}")


def _values(layer: Layer) -> tuple[float, np.ndarray]:
    assert layer.values is not None
    return layer.values(layer.both())
