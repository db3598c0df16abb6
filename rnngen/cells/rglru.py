"""The real-gated linear recurrent unit of De et al. 2024 (Griffin): a leaky unit whose rate is gated by the input.

r  = sigmoid(x W_r + b_r),  i = sigmoid(x W_i + b_i)
a  = sigmoid(decay) ** (8 r)
h' = a * h + sqrt(1 - a^2) * (i * (x W_h + b_h))
"""

import jax
import jax.numpy as jnp

from rnngen.cells.cell import Affine, Cell, affine_cell, project_input
from rnngen.cells.initializers import gate_kernel, get_initializer
from rnngen.types import at_least_float32, check_positive

SHARPNESS = 8.0  # c of the paper


def rglru(hidden_dim: int, *, r_min: float = 0.9, r_max: float = 0.999, kernel_init="glorot") -> Cell:
    """An RG-LRU, which `associative` runs in logarithmic depth. Carry: `h [*b, h]`, float32 at least; output: `h`.

    Parameters, in the order r, i, h: `kernel [d, 3h]`, `bias [3h]`, and `decay [h]`. The eigenvalues a are between 0
    and 1. The convolution and the gated branch of the paper's block are not here.

    Args:
      hidden_dim: h, the number of units.
      r_min, r_max: a starts uniformly between these where r is 1.
      kernel_init: initialiser of the kernel, as `get_initializer` takes it.

    Returns:
      The cell.

    Raises:
      ValueError: the size is not positive, the radii are not 0 < r_min < r_max < 1, or the initialiser is unknown.
    """
    check_positive(hidden_dim=hidden_dim)
    if not 0 < r_min < r_max < 1:
        raise ValueError(f"radii must be 0 < r_min < r_max < 1, got {r_min} and {r_max}")
    draw = get_initializer(kernel_init)

    def init(key, input_dim):
        key_kernel, key_decay = jax.random.split(key)
        start = jax.random.uniform(key_decay, (hidden_dim,), jnp.float32, minval=r_min, maxval=r_max)
        return {
            "kernel": gate_kernel(draw, key_kernel, input_dim, hidden_dim, 3),
            "bias": jnp.zeros(3 * hidden_dim, jnp.float32),
            "decay": jax.scipy.special.logit(start ** (1 / SHARPNESS)),
        }

    def init_carry(params, batch_shape):
        return jnp.zeros((*batch_shape, hidden_dim), at_least_float32(params["decay"]).dtype)

    def terms(params, us):
        # In less than float32, a is 1 where it should be 0.999.
        r, i, candidate = jnp.split(at_least_float32(us), 3, axis=-1)
        log_a = SHARPNESS * jax.nn.log_sigmoid(at_least_float32(params["decay"])) * jax.nn.sigmoid(r)
        # The root has no slope at 0, where r underflows.
        size = jnp.sqrt(jnp.maximum(-jnp.expm1(2 * log_a), 1e-12))
        return jnp.exp(log_a), size * jax.nn.sigmoid(i) * candidate

    def observe(params, carry, u):
        return {"r": jax.nn.sigmoid(u[..., :hidden_dim]), "i": jax.nn.sigmoid(u[..., hidden_dim : 2 * hidden_dim])}

    return affine_cell(
        init=init,
        init_carry=init_carry,
        structure=Affine(terms, readout=lambda params, carries, us: carries.astype(us.dtype)),
        output_dim=hidden_dim,
        project=project_input,
        observe=observe,
    )
