"""The recurrence of RWKV-7 (Peng et al. 2025), one head: a delta rule with rates and decays of each feature.

q = unit vector along x W_q,  v = x W_v,  a = sigmoid(x W_a + b_a),  w = exp(-exp(-1/2) sigmoid(x W_w + b_w))
r = unit vector along (x W_k) * removal,  k = (x W_k) * (1 + (a - 1) * replacement)
S' = (diag(w) - (a * r) r^T) S + k v^T
y  = q^T S'
"""

import jax
import jax.numpy as jnp

from rnngen.cells.cell import Affine, Cell, affine_cell
from rnngen.cells.fast_weights import act, compose, read, unit
from rnngen.cells.initializers import get_initializer, named_kernels
from rnngen.types import check_positive

ROOT = 0.6065306597126334  # exp(-1/2)
SLOWEST, FASTEST = -6.0, 0.0  # b_w at the start: from 0.15 % to 26 % are lost at each step


def rwkv7(hidden_dim: int, *, key_dim: int = 16, kernel_init="glorot") -> Cell:
    """A matrix memory with a generalised delta rule, run in parallel by `associative`. Carry: `S [*b, k, h]`.

    Parameters: `kernel_q`, `kernel_k`, `kernel_a`, `kernel_w [d, k]`, `kernel_v [d, h]`, `bias_a`, `bias_w`, `removal`,
    `replacement [k]`. Output: `y [*b, h]`. Along what is removed the memory is multiplied by about w - a, from
    -0.46 to 1. Of the paper's block this leaves out the shift of tokens, which a convolution before the cell can give,
    the low-rank kernels, the bonus of the present step and the gate; and q has length 1 where the paper normalises y.

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
    widths = {"q": (1, key_dim), "k": (1, key_dim), "v": (1, hidden_dim), "a": (1, key_dim), "w": (1, key_dim)}

    def init(key, input_dim):
        return named_kernels(draw, key, input_dim, widths) | {
            "bias_a": jnp.zeros(key_dim, jnp.float32),
            "bias_w": jnp.linspace(SLOWEST, FASTEST, key_dim, dtype=jnp.float32),
            "removal": jnp.ones(key_dim, jnp.float32),
            "replacement": jnp.ones(key_dim, jnp.float32),
        }

    def init_carry(params, batch_shape):
        return jnp.zeros((*batch_shape, key_dim, hidden_dim), params["bias_a"].dtype)

    def project(params, xs, key=None):
        us = {name: xs @ params[f"kernel_{name}"] for name in widths}
        rate = jax.nn.sigmoid(us["a"] + params["bias_a"])
        keep = jnp.exp(-ROOT * jax.nn.sigmoid(us["w"] + params["bias_w"]))
        removed = unit(us["k"] * params["removal"])
        written = us["k"] * (1 + (rate - 1) * params["replacement"])
        return {"q": unit(us["q"]), "k": written, "v": us["v"], "r": removed, "a": rate, "w": keep}

    def terms(params, us):
        kept = us["w"][..., None] * jnp.eye(key_dim, dtype=us["w"].dtype)
        forget = kept - (us["a"] * us["r"])[..., :, None] * us["r"][..., None, :]
        return forget, us["k"][..., :, None] * us["v"][..., None, :]

    return affine_cell(
        init=init,
        init_carry=init_carry,
        structure=Affine(terms, read, compose, act),
        output_dim=hidden_dim,
        project=project,
    )
