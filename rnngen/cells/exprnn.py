"""The exponential RNN of Lezcano-Casado and Martinez-Rubio 2019: a recurrent kernel that is orthogonal by construction.

U  = expm(A - A^T)
h' = modrelu(x W + h U), where modrelu(z) = sign(z) * max(|z| + b, 0) (Arjovsky et al. 2016)
"""

import jax
import jax.numpy as jnp
from jax.scipy.linalg import expm

from rnngen.cells.cell import KERNEL, Cell, Gated, gated_cell, initial_state
from rnngen.cells.initializers import get_initializer
from rnngen.types import Array, check_positive


def exprnn(hidden_dim: int, *, kernel_init="lecun") -> Cell:
    """An expRNN, whose matrix exponential is taken once per unroll, in `prepare`. Carry: `h [*b, h]`, the output.

    Parameters: `kernel [d, h]`, `bias [h]`, and `skew [h, h]`: A, of which only the part above the diagonal is used. It
    starts as rotations of planes by angles from U[-pi, pi] (Henaff et al. 2016).

    Args:
      hidden_dim: h, the number of units.
      kernel_init: initialiser of the kernel, as `get_initializer` takes it.

    Returns:
      The cell.

    Raises:
      ValueError: the size is not positive, or the initialiser is unknown.
    """
    check_positive(hidden_dim=hidden_dim)
    draw = get_initializer(kernel_init)

    def init(key, input_dim):
        key_kernel, key_angle = jax.random.split(key)
        angles = jax.random.uniform(key_angle, (hidden_dim - 1,), jnp.float32, minval=-jnp.pi, maxval=jnp.pi)
        return {
            "kernel": draw(key_kernel, (input_dim, hidden_dim), jnp.float32),
            "skew": jnp.diag(jnp.where(jnp.arange(hidden_dim - 1) % 2 == 0, angles, 0), 1),
            "bias": jnp.zeros(hidden_dim, jnp.float32),
        }

    def prepare(params):
        above = jnp.triu(params["skew"], 1)
        return params | {KERNEL: expm(above - above.T)}

    def init_carry(params, batch_shape):
        return initial_state(params, batch_shape, hidden_dim)

    def combine(params, h, u, a):
        h = modrelu(u + a, params["bias"])
        return h, h

    return gated_cell(
        init=init,
        init_carry=init_carry,
        structure=Gated(hidden=lambda h: h, combine=combine),
        output_dim=hidden_dim,
        project=lambda params, xs, key=None: xs @ params["kernel"],
        prepare=prepare,
    )


def modrelu(z: Array, bias: Array) -> Array:
    """Compute sign(z) * max(|z| + bias, 0), which is the identity at a bias of 0."""
    return jnp.sign(z) * jax.nn.relu(jnp.abs(z) + bias)
