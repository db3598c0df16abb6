"""The sLSTM of Beck et al. 2024 (xLSTM), one head: exponential gates, a normaliser, and a stabiliser.

z  = tanh(x W_z + h U_z + b_z),  o = sigmoid(x W_o + h U_o + b_o)
i~ = x W_i + h U_i + b_i,  f~ = log sigmoid(x W_f + h U_f + b_f)
m' = max(f~ + m, i~),  i = exp(i~ - m'),  f = exp(f~ + m - m')
c' = f * c + i * z,  n' = f * n + i,  h' = o * c' / n'
"""

import jax
import jax.numpy as jnp

from rnngen.cells.cell import KERNEL, Cell, Gated, gated_cell, initial_state, project_input
from rnngen.cells.initializers import gate_params, get_initializer
from rnngen.types import check_positive

# A stabiliser so low that the first input gate is always the larger: f = 0, n' = 1, as if there was nothing before.
LOWEST = -1e4


def slstm(hidden_dim: int, *, forget_bias: float = 3.0, kernel_init="glorot", recurrent_init="orthogonal") -> Cell:
    """An sLSTM, with four kinds of state. Carry: `{"h", "c", "n", "m"}`, each `[*b, h]`; output: the new `h`.

    Parameters, in the order i, f, z, o: `kernel [d, 4h]`, `recurrent_kernel [h, 4h]`, `bias [4h]`, its f block at
    `forget_bias`.

    Args:
      hidden_dim: h, the number of units.
      forget_bias: the f block of `bias` at the start.
      kernel_init: initialiser of the kernel, as `get_initializer` takes it.
      recurrent_init: initialiser of the recurrent kernel, likewise.

    Returns:
      The cell.

    Raises:
      ValueError: the size is not positive, or an initialiser is unknown.
    """
    check_positive(hidden_dim=hidden_dim)
    draw, draw_recurrent = get_initializer(kernel_init), get_initializer(recurrent_init)

    def init(key, input_dim):
        params = gate_params(key, input_dim, hidden_dim, 4, kernel_init=draw, recurrent_init=draw_recurrent)
        return params | {"bias": params["bias"].at[hidden_dim : 2 * hidden_dim].set(forget_bias)}

    def init_carry(params, batch_shape):
        zeros = {name: initial_state(params, batch_shape, hidden_dim) for name in "hcn"}
        return zeros | {"m": zeros["h"] + LOWEST}

    def observe(params, carry, u):
        i, f, _, o = _gates(carry, u + carry["h"] @ params[KERNEL])[1:]
        return {"i": i, "f": f, "o": o}

    return gated_cell(
        init=init,
        init_carry=init_carry,
        structure=Gated(hidden=lambda carry: carry["h"], combine=_combine),
        output_dim=hidden_dim,
        project=project_input,
        observe=observe,
    )


def _gates(carry, sums):
    """Compute (m', i, f, z, o), the exponential gates stabilised."""
    i, f, z, o = jnp.split(sums, 4, axis=-1)
    f = jax.nn.log_sigmoid(f) + carry["m"]
    m = jnp.maximum(f, i)
    return m, jnp.exp(i - m), jnp.exp(f - m), jnp.tanh(z), jax.nn.sigmoid(o)


def _combine(params, carry, u, a):
    m, i, f, z, o = _gates(carry, u + a)
    c, n = f * carry["c"] + i * z, f * carry["n"] + i
    h = o * c / n
    return {"h": h, "c": c, "n": n, "m": m}, h
