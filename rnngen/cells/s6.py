"""The selective state space model S6 (Gu and Dao 2024), the core of Mamba: its step size, B and C depend on the input.

u  = x W_u,  Delta = softplus(x W_Delta + b),  B = x W_B + b_B,  C = x W_C + b_C
h' = lambda * h + Delta u B^T,  lambda = m + (1 - m) exp(-Delta exp(decay)),  m = min_eigenvalue
y  = h' C + D * u
"""

import jax
import jax.numpy as jnp

from rnngen.cells.cell import Affine, Cell, affine_cell
from rnngen.cells.initializers import check_min_eigenvalue, get_initializer, named_kernels
from rnngen.cells.s4d import check_steps
from rnngen.types import at_least_float32, check_positive


def s6(
    hidden_dim: int,
    *,
    state_dim: int = 8,
    min_eigenvalue: float = 0.0,
    dt_min: float = 0.001,
    dt_max: float = 0.1,
    kernel_init="glorot",
) -> Cell:
    """A selective SSM, run in logarithmic depth by `associative`. Carry: `[*b, h, n]`, float32 at least.

    Parameters: `kernel_u`, `kernel_delta [d, h]`, `kernel_B`, `kernel_C [d, n]`, `bias_delta [h]`, `bias_B`, `bias_C
    [n]`, `decay [h, n]`, which starts as log 1 ... log n (S4D-Real), and `skip [h]` (D). Delta has a kernel of full
    rank, and B and C have biases, as inputs may be few, and zeros; the convolution and the gated branch of the paper's
    block are not here. Output: `y [*b, h]`.

    Args:
      hidden_dim: h, the number of features, each with a state of its own.
      state_dim: n, the numbers in a feature's state.
      min_eigenvalue: the lower end of the range of lambda; the paper's is 0, and -1 is the change that Grazzi et al.
        2025 make to Mamba.
      dt_min, dt_max: for inputs of 0, Delta starts between these, uniformly in its logarithm.
      kernel_init: initialiser of all kernels, as `get_initializer` takes it.

    Returns:
      The cell.

    Raises:
      ValueError: a size is not positive, min_eigenvalue is not in [-1, 1), the step sizes are not 0 < dt_min < dt_max,
        or the initialiser is unknown.
    """
    check_positive(hidden_dim=hidden_dim, state_dim=state_dim)
    check_min_eigenvalue(min_eigenvalue)
    check_steps(dt_min, dt_max)
    draw = get_initializer(kernel_init)
    widths = {"u": (1, hidden_dim), "delta": (1, hidden_dim), "B": (1, state_dim), "C": (1, state_dim)}

    def init(key, input_dim):
        key_kernels, key_step = jax.random.split(key)
        step = dt_min * (dt_max / dt_min) ** jax.random.uniform(key_step, (hidden_dim,), jnp.float32)
        decay = jnp.log(jnp.arange(1, state_dim + 1, dtype=jnp.float32))
        return named_kernels(draw, key_kernels, input_dim, widths) | {
            "bias_delta": jnp.log(jnp.expm1(step)),
            "decay": jnp.broadcast_to(decay, (hidden_dim, state_dim)),
            "bias_B": jnp.zeros(state_dim, jnp.float32),
            "bias_C": jnp.zeros(state_dim, jnp.float32),
            "skip": jnp.ones(hidden_dim, jnp.float32),
        }

    def init_carry(params, batch_shape):
        return jnp.zeros((*batch_shape, hidden_dim, state_dim), at_least_float32(params["decay"]).dtype)

    def project(params, xs, key=None):
        us = {name: xs @ params[f"kernel_{name}"] for name in widths}
        us |= {name: us[name] + params[f"bias_{name}"] for name in ("delta", "B", "C")}
        return us | {"delta": jax.nn.softplus(us["delta"])}

    def terms(params, us):
        wide = {name: at_least_float32(u) for name, u in us.items()}
        keep = jnp.exp(-wide["delta"][..., None] * jnp.exp(at_least_float32(params["decay"])))
        write = (wide["delta"] * wide["u"])[..., None] * wide["B"][..., None, :]
        return min_eigenvalue + (1 - min_eigenvalue) * keep, write

    def readout(params, carries, us):
        y = jnp.einsum("...hn,...n->...h", carries, at_least_float32(us["C"]))
        return y.astype(us["u"].dtype) + params["skip"] * us["u"]

    return affine_cell(
        init=init,
        init_carry=init_carry,
        structure=Affine(terms, readout),
        output_dim=hidden_dim,
        project=project,
    )
