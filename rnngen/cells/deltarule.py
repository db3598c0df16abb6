"""A fast-weight memory written by the delta rule (Schlag et al. 2021), with the gates and sizes of Yang et al. 2024.

k, q = unit vectors along x W_k and x W_q,  v = x W_v,  beta = sigmoid(x w + b)
S' = S - beta * k (k^T S - v^T)
y  = q^T S'
"""

import jax
import jax.numpy as jnp

from rnngen.cells.cell import Affine, Cell, affine_cell
from rnngen.cells.initializers import gate_kernel, get_initializer
from rnngen.types import Array, check_positive


def deltarule(hidden_dim: int, *, key_dim: int = 16, kernel_init="glorot") -> Cell:
    """A memory with keys of `key_dim` features, run by `associative` with its own `compose`. Carry: `S [*b, k, h]`.

    Parameters: `kernel_k`, `kernel_q [d, k]`, `kernel_v [d, h]`, `kernel_beta [d, 1]`, `bias_beta [1]`.
    Output: `y [*b, h]`.

    Args:
      hidden_dim: h, the number of units.
      key_dim: k, the features of a key and of a query.
      kernel_init: initialiser of all kernels, as `get_initializer` takes it.

    Returns:
      The cell.

    Raises:
      ValueError: a size is not positive, or the initialiser is unknown.
    """
    check_positive(hidden_dim=hidden_dim, key_dim=key_dim)
    draw = get_initializer(kernel_init)
    widths = {"k": key_dim, "q": key_dim, "v": hidden_dim, "beta": 1}

    def init(key, input_dim):
        keys = jax.random.split(key, len(widths))
        kernels = zip(keys, widths.items(), strict=True)
        params = {f"kernel_{name}": gate_kernel(draw, k, input_dim, width, 1) for k, (name, width) in kernels}
        return params | {"bias_beta": jnp.zeros(1, jnp.float32)}

    def init_carry(params, batch_shape):
        return jnp.zeros((*batch_shape, key_dim, hidden_dim), params["bias_beta"].dtype)

    def project(params, xs, key=None):
        us = {name: xs @ params[f"kernel_{name}"] for name in widths}
        beta = jax.nn.sigmoid(us["beta"] + params["bias_beta"])
        return us | {"k": _unit(us["k"]), "q": _unit(us["q"]), "beta": beta}

    def terms(params, us):
        write = (us["beta"] * us["k"])[..., :, None]
        forget = jnp.eye(key_dim, dtype=write.dtype) - write * us["k"][..., None, :]
        return forget, write * us["v"][..., None, :]

    structure = Affine(
        terms,
        readout=lambda params, memory, us: jnp.einsum("...kh,...k->...h", memory, us["q"]),
        compose=lambda later, earlier: (later[0] @ earlier[0], later[0] @ earlier[1] + later[1]),
        act=lambda element, memory: element[0] @ memory + element[1],
    )
    return affine_cell(init=init, init_carry=init_carry, structure=structure, output_dim=hidden_dim, project=project)


def _unit(x: Array) -> Array:
    """Scale `[*b, k]` to length 1; zeros stay."""
    return x * jax.lax.rsqrt(jnp.sum(x * x, axis=-1, keepdims=True) + 1e-6)
