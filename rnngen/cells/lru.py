"""The linear recurrent unit of Orvieto et al. 2023: a complex diagonal recurrence within the unit circle.

h' = lambda * h + gamma * (x B),  lambda = exp(-exp(nu) + i exp(theta)),  gamma = sqrt(1 - |lambda|^2)
y  = Re(h' C) + x D
"""

import jax
import jax.numpy as jnp

from rnngen.cells.cell import Affine, Cell, affine_cell
from rnngen.types import Array, at_least_float32, check_positive


def lru(
    hidden_dim: int,
    *,
    r_min: float = 0.0,
    r_max: float = 1.0,
    max_phase: float = 6.283,
    state_dim: int = 0,
    min_phase: float = 0.0,
) -> Cell:
    """An LRU, which `associative` runs in logarithmic depth. Carry: complex `[*b, n]`; output: `y [*b, h]`.

    Parameters, all real: `nu [n]`, `theta [n]`, the real and imaginary parts `input_real`, `input_imag [d, n]` of B and
    `output_real`, `output_imag [n, h]` of C, and `skip [d, h]` (D). The eigenvalues start uniformly in a ring of radii
    r_min to r_max, with phases up to max_phase (their lemma 3.2): positive near a phase of 0, negative near pi, and
    learned from there. The cell is linear: nonlinearity must come from the layers around it.

    Args:
      hidden_dim: h, the features of the output.
      r_min, r_max: the radii between which the eigenvalues start.
      max_phase: the largest phase at which they start, in radians.
      state_dim: n; 0: as large as hidden_dim.
      min_phase: the smallest phase at which they start, 0.001 at least.

    Returns:
      The cell.

    Raises:
      ValueError: a size is not positive, the radii are not 0 <= r_min < r_max <= 1, or the phases not
        0 <= min_phase <= max_phase.
    """
    check_positive(hidden_dim=hidden_dim, **({"state_dim": state_dim} if state_dim else {}))
    if not 0 <= r_min < r_max <= 1:
        raise ValueError(f"radii must be 0 <= r_min < r_max <= 1, got {r_min} and {r_max}")
    if not 0 <= min_phase <= max_phase:
        raise ValueError(f"phases must be 0 <= min_phase <= max_phase, got {min_phase} and {max_phase}")
    n = state_dim or hidden_dim

    def init(key, input_dim):
        keys = jax.random.split(key, 7)
        nu, theta = _ring(keys[0], keys[1], n, (r_min, r_max), (max(min_phase, 1e-3), max_phase))
        normal = lambda key, rows, columns, size: jax.random.normal(key, (rows, columns), jnp.float32) / size**0.5  # noqa: E731
        return {
            "nu": nu,
            "theta": theta,
            "input_real": normal(keys[2], input_dim, n, 2 * input_dim),
            "input_imag": normal(keys[3], input_dim, n, 2 * input_dim),
            "output_real": normal(keys[4], n, hidden_dim, n),
            "output_imag": normal(keys[5], n, hidden_dim, n),
            "skip": normal(keys[6], input_dim, hidden_dim, input_dim),
        }

    def project(params, xs, key=None):
        gamma = jnp.sqrt(-jnp.expm1(-2 * jnp.exp(at_least_float32(params["nu"]))))
        real, imag = at_least_float32(xs @ params["input_real"]), at_least_float32(xs @ params["input_imag"])
        return {"drive": jax.lax.complex(gamma * real, gamma * imag), "skip": xs @ params["skip"]}

    def terms(params, us):
        decay, phase = jnp.exp(at_least_float32(params["nu"])), jnp.exp(at_least_float32(params["theta"]))
        size = jnp.exp(-decay)
        eigenvalues = jax.lax.complex(size * jnp.cos(phase), size * jnp.sin(phase))
        return jnp.broadcast_to(eigenvalues, us["drive"].shape), us["drive"]

    def readout(params, carries, us):
        real, imag = at_least_float32(params["output_real"]), at_least_float32(params["output_imag"])
        return (carries.real @ real - carries.imag @ imag).astype(us["skip"].dtype) + us["skip"]

    def init_carry(params, batch_shape):
        zeros = jnp.zeros((*batch_shape, n), at_least_float32(params["nu"]).dtype)
        return jax.lax.complex(zeros, zeros)

    structure = Affine(terms, readout)
    return affine_cell(init=init, init_carry=init_carry, structure=structure, output_dim=hidden_dim, project=project)


def _ring(key_radius, key_phase, n: int, radii: tuple, phases: tuple) -> tuple[Array, Array]:
    """Draw (nu, theta) of eigenvalues that are uniform in a ring."""
    radius_squared = jax.random.uniform(key_radius, (n,), jnp.float32, minval=radii[0] ** 2, maxval=radii[1] ** 2)
    # Never exactly 0 or 1, whose logarithms are not finite.
    radius_squared = jnp.clip(radius_squared, 1e-6, 1 - 1e-6)
    phase = jax.random.uniform(key_phase, (n,), jnp.float32, minval=phases[0], maxval=phases[1])
    return jnp.log(-0.5 * jnp.log(radius_squared)), jnp.log(phase)
