"""The independently recurrent network of Li et al. 2018: each unit sees its own past and no other's.

h' = f(x W + u * h + b)
"""

import jax
import jax.numpy as jnp

from rnngen.cells.activations import get_activation
from rnngen.cells.cell import Cell, initial_state, project_input
from rnngen.cells.initializers import get_initializer
from rnngen.types import check_positive


def indrnn(hidden_dim: int, *, activation="relu", kernel_init="glorot", longest: int = 0) -> Cell:
    """An IndRNN, whose step has a diagonal Jacobian: `newton` is linear in its size. Carry: `h [*b, h]`, the output.

    Parameters: `kernel [d, h]`, `recurrent_weight [h]` (u), drawn from U[0, bound], and `bias [h]`.

    Args:
      hidden_dim: h, the number of units.
      activation: the name of a function in `ACTIVATIONS`, or the function.
      kernel_init: initialiser of the kernel, as `get_initializer` takes it.
      longest: steps over which a gradient grows at most twofold: u is clipped to |u| <= 2^(1/longest) where it is used
        (their section 3.1); 0: to |u| <= 1.

    Returns:
      The cell.

    Raises:
      ValueError: the size is not positive, an activation or initialiser is unknown, or `longest` is negative.
    """
    check_positive(hidden_dim=hidden_dim)
    if longest < 0:
        raise ValueError(f"longest must be a number of steps, or 0 for none, got {longest}")
    activate, draw = get_activation(activation), get_initializer(kernel_init)
    bound = 2.0 ** (1 / longest) if longest else 1.0

    def init(key, input_dim):
        key_kernel, key_weight = jax.random.split(key)
        return {
            "kernel": draw(key_kernel, (input_dim, hidden_dim), jnp.float32),
            "recurrent_weight": jax.random.uniform(key_weight, (hidden_dim,), jnp.float32, maxval=bound),
            "bias": jnp.zeros(hidden_dim, jnp.float32),
        }

    def prepare(params):
        return params | {"recurrent_weight": jnp.clip(params["recurrent_weight"], -bound, bound)}

    def step(params, h, u):
        h = activate(u + params["recurrent_weight"] * h)
        return h, h

    def init_carry(params, batch_shape):
        return initial_state(params, batch_shape, hidden_dim)

    return Cell(init, init_carry, step, hidden_dim, project_input, prepare, diagonal=True)
