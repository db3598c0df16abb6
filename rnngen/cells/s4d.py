"""The diagonal state space model S4D (Gu et al. 2022): n complex states for each feature, held between two steps.

u  = x W,  lambda = exp(Delta A),  A = -exp(decay) + i frequency,  Delta = exp(log_step)
h' = lambda * h + (lambda - 1) / A * u
y  = 2 Re(sum_n C h') + D * u
"""

import jax
import jax.numpy as jnp

from rnngen.cells.cell import Affine, Cell, affine_cell
from rnngen.cells.initializers import get_initializer
from rnngen.types import at_least_float32, check_positive


def s4d(
    hidden_dim: int, *, state_dim: int = 8, dt_min: float = 0.001, dt_max: float = 0.1, kernel_init="glorot"
) -> Cell:
    """An S4D with a zero-order hold, run in logarithmic depth by `associative`. Carry: complex `[*b, h, n]`.

    Parameters, all real: `kernel [d, h]`, `decay`, `frequency [h, n]`, `log_step [h]`, `output_real`, `output_imag
    [h, n]` of C, and `skip [h]` (D). It starts as S4D-Lin, A_n = -1/2 + i pi n, with n states for 2n of which each has
    its conjugate. The eigenvalues lambda are within the unit circle. The cell is linear in its inputs: nonlinearity,
    and whatever mixes features, must come from the layers around it. Output: `y [*b, h]`.

    Args:
      hidden_dim: h, the number of features, each with a state of its own.
      state_dim: n, the complex numbers in a feature's state.
      dt_min, dt_max: the step sizes Delta start between these, uniformly in their logarithm.
      kernel_init: initialiser of the kernel, as `get_initializer` takes it.

    Returns:
      The cell.

    Raises:
      ValueError: a size is not positive, the step sizes are not 0 < dt_min < dt_max, or the initialiser is unknown.
    """
    check_positive(hidden_dim=hidden_dim, state_dim=state_dim)
    check_steps(dt_min, dt_max)
    draw = get_initializer(kernel_init)

    def init(key, input_dim):
        keys = jax.random.split(key, 5)
        wide = (hidden_dim, state_dim)
        step = jax.random.uniform(keys[1], (hidden_dim,), jnp.float32)
        return {
            "kernel": draw(keys[0], (input_dim, hidden_dim), jnp.float32),
            "log_step": jnp.log(dt_min * (dt_max / dt_min) ** step),
            "decay": jnp.log(jnp.full(wide, 0.5, jnp.float32)),
            "frequency": jnp.broadcast_to(jnp.pi * jnp.arange(state_dim, dtype=jnp.float32), wide),
            "output_real": jax.random.normal(keys[2], wide, jnp.float32) / 2**0.5,
            "output_imag": jax.random.normal(keys[3], wide, jnp.float32) / 2**0.5,
            "skip": jax.random.normal(keys[4], (hidden_dim,), jnp.float32),
        }

    def init_carry(params, batch_shape):
        zeros = jnp.zeros((*batch_shape, hidden_dim, state_dim), at_least_float32(params["decay"]).dtype)
        return jax.lax.complex(zeros, zeros)

    def terms(params, us):
        wide = {name: at_least_float32(params[name]) for name in ("log_step", "decay", "frequency")}
        step, u = jnp.exp(wide["log_step"])[:, None], at_least_float32(us)[..., None]
        decay, frequency = -jnp.exp(wide["decay"]), wide["frequency"]
        factor = jnp.exp(jax.lax.complex(step * decay, step * frequency))
        gain = (factor - 1) / jax.lax.complex(decay, frequency)
        drive = jax.lax.complex(gain.real * u, gain.imag * u)
        return jnp.broadcast_to(factor, drive.shape), drive

    def readout(params, carries, us):
        real, imag = at_least_float32(params["output_real"]), at_least_float32(params["output_imag"])
        y = 2 * jnp.sum(real * carries.real - imag * carries.imag, axis=-1)
        return y.astype(us.dtype) + params["skip"] * us

    return affine_cell(
        init=init,
        init_carry=init_carry,
        structure=Affine(terms, readout),
        output_dim=hidden_dim,
        project=lambda params, xs, key=None: xs @ params["kernel"],
    )


def check_steps(dt_min: float, dt_max: float) -> None:
    """Raise ValueError unless two step sizes are positive and in order."""
    if not 0 < dt_min < dt_max:
        raise ValueError(f"step sizes must be 0 < dt_min < dt_max, got {dt_min} and {dt_max}")
