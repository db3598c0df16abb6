"""Flax NNX: its cells within `nnx.RNN`, which runs them by a scan.

The same mathematics as rnngen's, with gates in the same order; the GRU has no bias within the reset product.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from .contenders import Layer, Trainer, jax_layer

CELLS: dict[str, Any] = {"lstm": nnx.OptimizedLSTMCell, "gru": nnx.GRUCell, "rnn": nnx.SimpleCell}


def layers(cell: str, params: dict[str, np.ndarray], xs: np.ndarray) -> list[Layer]:
    """Return the cell over xs `[t, b, d]` with rnngen's parameters."""
    parts: Any = nnx.split(_module(cell, params), nnx.Param, ...)
    graph, weights, rest = parts

    def run(weights, xs):
        # A copy, because running it counts a random number, which a trace may only do to what is its own.
        return nnx.merge(graph, weights, rest, copy=True)(xs)

    return [jax_layer("flax", run, weights, xs, lambda d: nnx.to_pure_dict(d)["cell"]["dense_h"]["kernel"])]


def trainers(cell: str, params: dict[str, Any], inputs: np.ndarray, targets: np.ndarray, rate: float) -> list[Trainer]:
    """Return clipped Adam on the last step's squared error: inputs `[t, b, d]`, targets `[b, 1]`."""
    model = _Regressor(cell, params)
    rule = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate))
    optimizer = nnx.Optimizer(model, rule, wrt=nnx.Param)
    batch = jax.device_put((inputs, targets), jax.devices()[0])

    @nnx.jit
    def update(model, optimizer, inputs, targets):
        value, gradients = nnx.value_and_grad(lambda m: jnp.mean((m(inputs) - targets) ** 2))(model)
        optimizer.update(model, gradients)
        return value

    def step():
        value = update(model, optimizer, *batch)
        jax.block_until_ready((value, nnx.state(model), nnx.state(optimizer)))
        return value

    return [Trainer("flax", step)]


class _Regressor(nnx.Module):
    """A layer, and a linear head on its last step."""

    def __init__(self, cell: str, params: dict[str, Any]):
        head = params["head"]
        self.layer = _module(cell, params["layer_0"])
        self.head = nnx.Linear(head["kernel"].shape[0], head["kernel"].shape[1], rngs=nnx.Rngs(0))
        _set(self.head, head["kernel"], head["bias"])

    def __call__(self, xs):
        return self.head(self.layer(xs)[-1])


def _module(cell: str, params: dict[str, np.ndarray]) -> nnx.RNN:
    kernel, recurrent, bias = params["kernel"], params["recurrent_kernel"], params["bias"]
    core = CELLS[cell](kernel.shape[0], recurrent.shape[0], rngs=nnx.Rngs(0))
    # The LSTM alone has its bias beside the recurrent kernel.
    _set(core.dense_i, kernel, None if cell == "lstm" else bias)
    _set(core.dense_h, recurrent, bias if cell == "lstm" else None)
    return nnx.RNN(core, time_major=True)


def _set(linear: nnx.Linear, kernel: np.ndarray, bias: np.ndarray | None) -> None:
    assert linear.kernel.shape == kernel.shape
    linear.kernel = nnx.Param(jnp.asarray(kernel))
    if bias is not None:
        linear.bias = nnx.Param(jnp.asarray(bias))
