"""The minimal LSTM of Feng et al. 2024: two gates that do not look at the carry, and sum to one.

f  = sigmoid(x W_f + b_f),  i = sigmoid(x W_i + b_i)
h' = f / (f + i) * h + i / (f + i) * (x W_h + b_h)
"""

import jax
import jax.numpy as jnp

from rnngen.cells.cell import Affine, Cell, affine_cell, initial_state, project_input
from rnngen.cells.initializers import gate_kernel, get_initializer
from rnngen.types import check_positive


def minlstm(hidden_dim: int, *, forget_bias: float = 0.0, kernel_init="glorot") -> Cell:
    """A minLSTM, which `associative` runs in logarithmic depth. Carry: `h [*b, h]`; output: the new `h`.

    Parameters, in the order f, i, h: `kernel [d, 3h]`, `bias [3h]`, its f block at `forget_bias`.

    Args:
      hidden_dim: h, the number of units.
      forget_bias: the f block of `bias` at the start.
      kernel_init: initialiser of the kernel, as `get_initializer` takes it.

    Returns:
      The cell.

    Raises:
      ValueError: the size is not positive, or the initialiser is unknown.
    """
    check_positive(hidden_dim=hidden_dim)
    draw = get_initializer(kernel_init)

    def init(key, input_dim):
        bias = jnp.zeros(3 * hidden_dim, jnp.float32).at[:hidden_dim].set(forget_bias)
        return {"kernel": gate_kernel(draw, key, input_dim, hidden_dim, 3), "bias": bias}

    def init_carry(params, batch_shape):
        return initial_state(params, batch_shape, hidden_dim)

    def terms(params, us):
        f, i, candidate = jnp.split(us, 3, axis=-1)
        keep = _share(f, i)
        return keep, (1 - keep) * candidate

    def observe(params, carry, u):
        return {"f": _share(u[..., :hidden_dim], u[..., hidden_dim : 2 * hidden_dim])}

    return affine_cell(
        init=init,
        init_carry=init_carry,
        structure=Affine(terms, readout=lambda params, carries, us: carries),
        output_dim=hidden_dim,
        project=project_input,
        observe=observe,
    )


def _share(f, i):
    """Compute sigmoid(f) / (sigmoid(f) + sigmoid(i)), also where both underflow."""
    return jax.nn.sigmoid(jax.nn.log_sigmoid(f) - jax.nn.log_sigmoid(i))
