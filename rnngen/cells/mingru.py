"""The minimal gated recurrent unit of Feng et al. 2024: gates that do not look at the carry.

z  = sigmoid(x W_z + b_z)
h' = (1 - z) * h + z * (x W_h + b_h)
"""

import jax
import jax.numpy as jnp

from rnngen.cells.cell import Affine, Cell, affine_cell, initial_state, project_input
from rnngen.cells.initializers import gate_kernel, get_initializer
from rnngen.types import check_positive


def mingru(hidden_dim: int, *, kernel_init="glorot", learned_carry: bool = False) -> Cell:
    """A minGRU, which `associative` runs in logarithmic depth. Carry: `h [*b, h]`; output: the new `h`.

    Parameters, in the order z, h: `kernel [d, 2h]`, `bias [2h]`, and with `learned_carry` `initial_carry.h [h]`.

    Args:
      hidden_dim: h, the number of units.
      kernel_init: initialiser of the kernel, as `get_initializer` takes it.
      learned_carry: the initial carry is a parameter, which starts at 0; else it is 0.

    Returns:
      The cell.

    Raises:
      ValueError: the size is not positive, or the initialiser is unknown.
    """
    check_positive(hidden_dim=hidden_dim)
    draw = get_initializer(kernel_init)

    def init(key, input_dim):
        params = {
            "kernel": gate_kernel(draw, key, input_dim, hidden_dim, 2),
            "bias": jnp.zeros(2 * hidden_dim, jnp.float32),
        }
        return params | ({"initial_carry": {"h": jnp.zeros(hidden_dim, jnp.float32)}} if learned_carry else {})

    def init_carry(params, batch_shape):
        return initial_state(params, batch_shape, hidden_dim)

    def terms(params, us):
        z, candidate = jnp.split(us, 2, axis=-1)
        z = jax.nn.sigmoid(z)
        return 1 - z, z * candidate

    def observe(params, carry, u):
        return {"z": jax.nn.sigmoid(u[..., :hidden_dim])}

    structure = Affine(terms, readout=lambda params, carries, us: carries)
    return affine_cell(
        init=init,
        init_carry=init_carry,
        structure=structure,
        output_dim=hidden_dim,
        project=project_input,
        observe=observe,
    )
