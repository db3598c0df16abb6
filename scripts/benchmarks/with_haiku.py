"""Haiku's cells under `hk.dynamic_unroll`.

LSTM: gates in the order i, g, f, o, one kernel for input and hidden state, and 1 added to the forget gate's sum.
GRU: the reset gate multiplies h before the recurrent product, which no choice of weights makes rnngen's form.
VanillaRNN: rectified, not tanh. The last two are timed all the same, as doing about as much work.
"""

from typing import Any

import numpy as np

from .contenders import Layer, jax_layer


def layers(cell: str, params: dict[str, np.ndarray], xs: np.ndarray) -> list[Layer]:
    """Return the cell over xs `[t, b, d]` with rnngen's parameters, or the nearest cell."""
    import haiku as hk

    hidden = params["recurrent_kernel"].shape[0]
    make = {
        "lstm": lambda: hk.LSTM(hidden, name="core"),
        "gru": lambda: hk.GRU(hidden, name="core"),
        "rnn": lambda: hk.VanillaRNN(hidden, double_bias=False, name="core"),
    }[cell]

    def unrolled(xs):
        core = make()
        return hk.dynamic_unroll(core, xs, core.initial_state(xs.shape[1]))[0]

    pure: Any = hk.without_apply_rng(hk.transform(unrolled))
    weights, kernel = {"lstm": _lstm, "gru": _gru, "rnn": _rnn}[cell](params)
    return [jax_layer("haiku", pure.apply, weights, xs, kernel, same_values=cell == "lstm")]


def _lstm(params):
    kernel = np.concatenate([params["kernel"], params["recurrent_kernel"]])
    bias = params["bias"].copy()
    width = bias.size // 4
    bias[width : 2 * width] -= 1
    weights = {"core/linear": {"w": _swapped(kernel), "b": _swapped(bias)}}
    inputs = params["kernel"].shape[0]
    return weights, lambda d: _swapped(np.asarray(d["core/linear"]["w"]))[inputs:]


def _swapped(array: np.ndarray) -> np.ndarray:
    """Reorder gates i, f, g, o to i, g, f, o along the last axis, and back."""
    i, f, g, o = np.split(array, 4, axis=-1)
    return np.concatenate([i, g, f, o], axis=-1)


def _gru(params):
    def reordered(array):
        # Haiku's update gate is one minus ours, and comes first.
        r, z, n = np.split(array, 3, axis=-1)
        return np.concatenate([-z, r, n], axis=-1)

    ours = {"w_i": "kernel", "w_h": "recurrent_kernel", "b": "bias"}
    weights = {"core": {name: reordered(params[our]) for name, our in ours.items()}}
    return weights, lambda d: d["core"]["w_h"]


def _rnn(params):
    inner, outer = {"w": params["kernel"], "b": params["bias"]}, {"w": params["recurrent_kernel"]}
    return {"core/linear": inner, "core/linear_1": outer}, lambda d: d["core/linear_1"]["w"]
