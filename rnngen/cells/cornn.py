"""The coupled oscillatory network of Rusch and Mishra 2021: one explicit step of a second-order equation.

z' = z + dt * (tanh(x W + y U_y + z U_z + b) - gamma * y - epsilon * z)
y' = y + dt * z'
"""

import jax
import jax.numpy as jnp

from rnngen.cells.cell import Cell, initial_state, project_input
from rnngen.cells.initializers import gate_params, get_initializer
from rnngen.types import check_positive


def cornn(
    hidden_dim: int,
    *,
    dt: float = 0.04,
    gamma: float = 2.7,
    epsilon: float = 4.7,
    kernel_init="glorot",
    recurrent_init="glorot",
) -> Cell:
    """A coRNN. Carry: `{"y": [*b, h], "z": [*b, h]}`, positions and velocities; output: the new `y`.

    Parameters: `kernel [d, h]`, `recurrent_kernel [h, h]` (U_y), `velocity_kernel [h, h]` (U_z), `bias [h]`.

    Args:
      hidden_dim: h, the number of units.
      dt, gamma, epsilon: step, stiffness and damping; the defaults are near the authors' for sequential MNIST.
      kernel_init: initialiser of the kernel, as `get_initializer` takes it.
      recurrent_init: initialiser of the recurrent kernel, likewise.

    Returns:
      The cell.

    Raises:
      ValueError: a size or the step is not positive, or an initialiser is unknown.
    """
    check_positive(hidden_dim=hidden_dim)
    if not dt > 0:
        raise ValueError(f"dt must be positive, got {dt}")
    draw, draw_recurrent = get_initializer(kernel_init), get_initializer(recurrent_init)

    def init(key, input_dim):
        key_place, key_velocity = jax.random.split(key)
        velocity = draw_recurrent(key_velocity, (hidden_dim, hidden_dim), jnp.float32)
        return gate_params(key_place, input_dim, hidden_dim, 1, kernel_init=draw, recurrent_init=draw_recurrent) | {
            "velocity_kernel": velocity
        }

    def init_carry(params, batch_shape):
        return {name: initial_state(params, batch_shape, hidden_dim) for name in ("y", "z")}

    def step(params, carry, u):
        y, z = carry["y"], carry["z"]
        force = jnp.tanh(u + y @ params["recurrent_kernel"] + z @ params["velocity_kernel"])
        z = z + dt * (force - gamma * y - epsilon * z)
        y = y + dt * z
        return {"y": y, "z": z}, y

    return Cell(init, init_carry, step, hidden_dim, project_input)
