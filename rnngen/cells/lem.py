"""The long expressive memory of Rusch et al. 2022: two fields, each with a time step of its own that is learned.

s  = dt * sigmoid(x W_1 + y U_1 + b_1)
s~ = dt * sigmoid(x W_2 + y U_2 + b_2)
z' = (1 - s)  * z + s  * tanh(x W_z + y U_z + b_z)
y' = (1 - s~) * y + s~ * tanh(x W_y + z' U_y + b_y)
"""

import jax
import jax.numpy as jnp

from rnngen.cells.cell import KERNEL, Cell, initial_state, project_input
from rnngen.cells.initializers import gate_params, get_initializer
from rnngen.types import check_positive


def lem(hidden_dim: int, *, dt: float = 1.0, kernel_init="glorot", recurrent_init="orthogonal") -> Cell:
    """A LEM, in whose step the new z enters a second matrix product. Carry: `{"y", "z"}`, each `[*b, h]`; output: y.

    Parameters, in the order 1, 2, z, y: `kernel [d, 4h]`, `recurrent_kernel [h, 4h]`, `bias [4h]`.

    Args:
      hidden_dim: h, the number of units.
      dt: the largest time step of both fields.
      kernel_init: initialiser of the kernel, as `get_initializer` takes it.
      recurrent_init: initialiser of the recurrent kernel, likewise.

    Returns:
      The cell.

    Raises:
      ValueError: the size or step is not positive, or an initialiser is unknown.
    """
    check_positive(hidden_dim=hidden_dim)
    if not dt > 0:
        raise ValueError(f"dt must be positive, got {dt}")
    draw, draw_recurrent = get_initializer(kernel_init), get_initializer(recurrent_init)
    three = 3 * hidden_dim

    def init(key, input_dim):
        return gate_params(key, input_dim, hidden_dim, 4, kernel_init=draw, recurrent_init=draw_recurrent)

    def init_carry(params, batch_shape):
        return {name: initial_state(params, batch_shape, hidden_dim) for name in ("y", "z")}

    def sums(params, carry, u):
        return jnp.split(u[..., :three] + carry["y"] @ params[KERNEL][:, :three], 3, axis=-1)

    def step(params, carry, u):
        first, second, candidate = sums(params, carry, u)
        z = carry["z"] + dt * jax.nn.sigmoid(first) * (jnp.tanh(candidate) - carry["z"])
        place = jnp.tanh(u[..., three:] + z @ params[KERNEL][:, three:])
        y = carry["y"] + dt * jax.nn.sigmoid(second) * (place - carry["y"])
        return {"y": y, "z": z}, y

    def observe(params, carry, u):
        first, second, _ = sums(params, carry, u)
        return {"step_z": jax.nn.sigmoid(first), "step_y": jax.nn.sigmoid(second)}

    return Cell(init, init_carry, step, hidden_dim, project_input, observe=observe)
