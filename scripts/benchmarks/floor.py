"""The matrix products of a layer and nothing else: a lower bound of its time while it uses these products."""

import importlib.util
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.runtime import count_cores

from .contenders import Layer

GATES = {"lstm": 4, "gru": 3, "rnn": 1}


def floor(cell: str, t: int, b: int, d: int, h: int) -> Layer:
    """Make the products on one device.

    Forward: x W over all steps, then h U step by step. Backward: dz U^T step by step, then the gradient of both
    kernels, [h, x]^T dz over all steps.
    """
    g, draw = GATES[cell], np.random.default_rng(0)
    shapes = {"xs": (t, b, d), "kernel": (d, g * h), "h": (b, h), "dz": (b, g * h)}
    shapes |= {"hxs": (t, b, h + d), "dzs": (t, b, g * h)}
    arrays = jax.device_put({name: draw.standard_normal(shape, np.float32) for name, shape in shapes.items()})
    # Of a spectral radius below one, so that t products of it stay finite.
    recurrent = jax.device_put(draw.standard_normal((h, g * h), np.float32) * np.float32(0.9 / np.sqrt(g * h)))
    products: dict[str, Callable] = {
        "input": jax.jit(jnp.matmul),
        "forward": jax.jit(lambda h, u: _forward(h, u, g, t)),
        "backward": jax.jit(lambda dz, u: _backward(dz, u, g, t)),
        "weights": jax.jit(lambda x, dz: jnp.tensordot(x, dz, ((0, 1), (0, 1)))),
    }

    # One after another: within one program XLA may run them side by side.
    def forward():
        jax.block_until_ready(products["input"](arrays["xs"], arrays["kernel"]))
        jax.block_until_ready(products["forward"](arrays["h"], recurrent))

    def both():
        forward()
        jax.block_until_ready(products["backward"](arrays["dz"], recurrent))
        jax.block_until_ready(products["weights"](arrays["hxs"], arrays["dzs"]))

    return Layer("floor", forward, both)


# The next step must depend on the whole of a product, or XLA would make a smaller one of it.


def _forward(h, recurrent, g: int, t: int):
    def step(h, _):
        return (h @ recurrent).reshape(h.shape[0], g, -1).sum(1), None

    return jax.lax.scan(step, h, length=t)[0]


def _backward(dz, recurrent, g: int, t: int):
    transposed = recurrent.T

    def step(dz, _):
        return jnp.concatenate([dz @ transposed] * g, axis=-1), None

    return jax.lax.scan(step, dz, length=t)[0]


def library_floors(cell: str, t: int, b: int, d: int, h: int) -> list[Layer]:
    """Make the same products by NumPy (OpenBLAS, as it is installed) and by torch (oneDNN or MKL), on all cores."""
    found = [_floor_of("NumPy's products", np, np.asarray, cell, t, b, d, h)]
    if importlib.util.find_spec("torch") is not None:
        import torch

        torch.set_num_threads(count_cores())
        found.append(_floor_of("torch's products", torch, torch.from_numpy, cell, t, b, d, h))
    return found


def _floor_of(name: str, library: Any, array: Callable, cell: str, t: int, b: int, d: int, h: int) -> Layer:
    g, draw = GATES[cell], np.random.default_rng(0)

    def make(*shape):
        return array(draw.standard_normal(shape, np.float32))

    xs, kernel, recurrent, start = make(t * b, d), make(d, g * h), make(h, g * h), make(b, h)
    hxs, dzs, transposed = make(h + d, t * b), make(t * b, g * h), make(g * h, h)
    dz, sums, back = make(b, g * h), make(b, g * h), make(b, h)
    inputs, weights = make(t * b, g * h), make(h + d, g * h)

    def forward():
        library.matmul(xs, kernel, out=inputs)
        for _ in range(t):
            library.matmul(start, recurrent, out=sums)

    def both():
        forward()
        for _ in range(t):
            library.matmul(dz, transposed, out=back)
        library.matmul(hxs, dzs, out=weights)

    return Layer(name, forward, both)
