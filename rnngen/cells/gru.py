"""The gated recurrent unit of Cho et al. 2014, in the form that cuDNN, torch and Flax compute.

r  = sigmoid(x W_r + h U_r + b_r)
z  = sigmoid(x W_z + h U_z + b_z)
n  = tanh(x W_n + b_n + r * (h U_n + c_n))
h' = (1 - z) * n + z * h
"""

import jax.numpy as jnp

from rnngen.cells.cell import Cell, Gated, gated_cell, initial_state, project_input
from rnngen.cells.initializers import gate_params, get_initializer
from rnngen.types import check_positive


def gru(hidden_dim: int, *, kernel_init="glorot", recurrent_init="orthogonal", learned_carry: bool = False) -> Cell:
    """A GRU. Carry: `h [*b, h]`; output: the new `h`.

    Parameters, gates in the order r, z, n: `kernel [d, 3h]`, `recurrent_kernel [h, 3h]`, `bias [3h]`,
    `recurrent_bias [h]` (c_n above), and with `learned_carry` `initial_carry.h [h]`.

    Raises ValueError for a non-positive size or an unknown initialiser.
    """
    check_positive(hidden_dim=hidden_dim)
    inits = {"kernel_init": get_initializer(kernel_init), "recurrent_init": get_initializer(recurrent_init)}
    learned = ("h",) if learned_carry else ()

    def init(key, input_dim):
        shared = gate_params(key, input_dim, hidden_dim, 3, learned=learned, **inits)
        return shared | {"recurrent_bias": jnp.zeros(hidden_dim, jnp.float32)}

    def init_carry(params, batch_shape):
        return initial_state(params, batch_shape, hidden_dim)

    def prepare(params):
        # sigmoid(x) = tanh(x / 2) / 2 + 1/2 with the inner half in the weights: the scanned step then
        # needs one tanh over both gates, several times faster on a CPU than two sigmoids.
        scale = jnp.ones(3 * hidden_dim, params["bias"].dtype).at[: 2 * hidden_dim].set(0.5)
        return params | {name: params[name] * scale for name in ("kernel", "recurrent_kernel", "bias")}

    def combine(params, h, u, a):
        gates = jnp.tanh((u + a)[..., : 2 * hidden_dim]) * 0.5 + 0.5
        r, z = jnp.split(gates, 2, axis=-1)
        n = jnp.tanh(u[..., 2 * hidden_dim :] + r * (a[..., 2 * hidden_dim :] + params["recurrent_bias"]))
        h = n + z * (h - n)
        return h, h

    structure = Gated(hidden=lambda h: h, combine=combine)
    return gated_cell(
        init=init,
        init_carry=init_carry,
        structure=structure,
        output_dim=hidden_dim,
        project=project_input,
        prepare=prepare,
    )
