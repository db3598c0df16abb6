"""Equinox's cells, which take one step of one sequence: `lax.scan` over time, `vmap` over the batch.

The same mathematics as rnngen's, with gates in the same order, kernels transposed. There is no vanilla RNN.
"""

import jax
import jax.numpy as jnp
import numpy as np

from .contenders import Layer, jax_layer


def layers(cell: str, params: dict[str, np.ndarray], xs: np.ndarray) -> list[Layer]:
    """Return the cell over xs `[t, b, d]` with rnngen's parameters; nothing where Equinox has no such cell."""
    if cell == "rnn":
        return []
    module, hidden = _module(cell, params), params["recurrent_kernel"].shape[0]
    zeros = jnp.zeros(hidden)
    start = (zeros, zeros) if cell == "lstm" else zeros

    def run(module, xs):
        def step(carry, x):
            carry = module(x, carry)
            return carry, carry[0] if cell == "lstm" else carry

        return jax.vmap(lambda xs: jax.lax.scan(step, start, xs)[1], in_axes=1, out_axes=1)(xs)

    return [jax_layer("equinox", run, module, xs, lambda d: d.weight_hh.T)]


def _module(cell: str, params: dict[str, np.ndarray]):
    import equinox as eqx

    kernel, recurrent = params["kernel"], params["recurrent_kernel"]
    make = {"lstm": eqx.nn.LSTMCell, "gru": eqx.nn.GRUCell}[cell]
    module = make(kernel.shape[0], recurrent.shape[0], key=jax.random.key(0))
    values = {"weight_ih": kernel.T, "weight_hh": recurrent.T, "bias": params["bias"]}
    if cell == "gru":
        values["bias_n"] = params["recurrent_bias"]
    arrays = [jnp.asarray(value) for value in values.values()]
    return eqx.tree_at(lambda m: [getattr(m, name) for name in values], module, arrays)
