"""The minimal gated recurrent unit of Feng et al. 2024: gates that do not look at the carry.

z  = (1 - min_eigenvalue) sigmoid(x W_z + b_z)
h' = (1 - z) * h + z * (x W_h + b_h)

min_eigenvalue is 0 in their paper. With -1 the factor 1 - z of h goes from -1 to 1, so that a unit can count the parity
of its inputs (Grazzi et al. 2025); as with the delta rule, a unit that always reads the same still ends at it.
"""

import jax
import jax.numpy as jnp

from rnngen.cells.cell import Affine, Cell, affine_cell, initial_state, project_input
from rnngen.cells.initializers import check_min_eigenvalue, gate_kernel, get_initializer
from rnngen.types import check_positive


def mingru(hidden_dim: int, *, kernel_init="glorot", learned_carry: bool = False, min_eigenvalue: float = 0.0) -> Cell:
    """A minGRU, which `associative` runs in logarithmic depth. Carry: `h [*b, h]`; output: the new `h`.

    Parameters, in the order z, h: `kernel [d, 2h]`, `bias [2h]`, and with `learned_carry` `initial_carry.h [h]`.

    Args:
      hidden_dim: h, the number of units.
      kernel_init: initialiser of the kernel, as `get_initializer` takes it.
      learned_carry: the initial carry is a parameter, which starts at 0; else it is 0.
      min_eigenvalue: the lower end of the range of 1 - z.

    Returns:
      The cell.

    Raises:
      ValueError: the size is not positive, min_eigenvalue is not in [-1, 1), or the initialiser is unknown.
    """
    check_positive(hidden_dim=hidden_dim)
    check_min_eigenvalue(min_eigenvalue)
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
        z = (1 - min_eigenvalue) * jax.nn.sigmoid(z)
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
