"""The minimal gated unit of Zhou et al. 2016: one gate that forgets and resets.

f  = sigmoid(x W_f + h U_f + b_f)
n  = tanh(x W_n + (f * h) U_n + b_n)
h' = (1 - f) * h + f * n
"""

import jax
import jax.numpy as jnp

from rnngen.cells.cell import KERNEL, Cell, initial_state, project_input
from rnngen.cells.initializers import gate_params, get_initializer
from rnngen.types import check_positive


def mgu(hidden_dim: int, *, forget_bias: float = 0.0, kernel_init="glorot", recurrent_init="orthogonal") -> Cell:
    """An MGU, with two matrix products in sequence in a step. Carry: `h [*b, h]`; output: the new `h`.

    Parameters, in the order f, n: `kernel [d, 2h]`, `recurrent_kernel [h, 2h]`, `bias [2h]`, its f block at
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
        params = gate_params(key, input_dim, hidden_dim, 2, kernel_init=draw, recurrent_init=draw_recurrent)
        return params | {"bias": params["bias"].at[:hidden_dim].set(forget_bias)}

    def init_carry(params, batch_shape):
        return initial_state(params, batch_shape, hidden_dim)

    def gate(params, h, u):
        return jax.nn.sigmoid(u[..., :hidden_dim] + h @ params[KERNEL][:, :hidden_dim])

    def step(params, h, u):
        f = gate(params, h, u)
        n = jnp.tanh(u[..., hidden_dim:] + (f * h) @ params[KERNEL][:, hidden_dim:])
        h = h + f * (n - h)
        return h, h

    return Cell(
        init, init_carry, step, hidden_dim, project_input, observe=lambda params, h, u: {"f": gate(params, h, u)}
    )
