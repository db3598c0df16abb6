"""The recurrence of RWKV-7 (Peng et al. 2025), one head: a delta rule with rates and decays of each feature.

q = unit vector along x W_q,  v = x W_v,  a = sigmoid(x W_a + b_a),  w = exp(-exp(-1/2) sigmoid(x W_w + b_w))
r = unit vector along (x W_k) * removal,  k = (x W_k) * (1 + (a - 1) * replacement)
S' = (diag(w) - (a * r) r^T) S + k v^T
y  = q^T S'

Within a chunk, step t removes u_t = S_(t-1)^T r_t. With P_ts the product of the decays of steps s + 1 to t, and P_t of
all to t, u = T (r P S + N v), T = (I + M)^-1, M_ts = r_t^T P_(t-1)s (a_s * r_s), N_ts = r_t^T P_(t-1)s k_s for s < t.
So outputs and S' are affine in the S that enters it.
"""

import jax
import jax.numpy as jnp

from rnngen.cells.cell import Affine, Cell, Chunked, affine_cell
from rnngen.cells.chunks import begun, reaches, turned
from rnngen.cells.fast_weights import act, compose, read, unit
from rnngen.cells.householder import inverse, outputs
from rnngen.cells.initializers import get_initializer, named_kernels
from rnngen.types import at_least_float32, check_positive

ROOT = 0.6065306597126334  # exp(-1/2)
STEPS = 8  # of a chunk: what is left of each step at each other one is a number a feature
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
        log_keep = -ROOT * jax.nn.sigmoid(us["w"] + params["bias_w"])
        removed = unit(us["k"] * params["removal"])
        written = us["k"] * (1 + (rate - 1) * params["replacement"])
        return {"q": unit(us["q"]), "k": written, "v": us["v"], "r": removed, "a": rate, "log_w": log_keep}

    def terms(params, us):
        kept = jnp.exp(us["log_w"])[..., None] * jnp.eye(key_dim, dtype=us["log_w"].dtype)
        forget = kept - (us["a"] * us["r"])[..., :, None] * us["r"][..., None, :]
        return forget, us["k"][..., :, None] * us["v"][..., None, :]

    return affine_cell(
        init=init,
        init_carry=init_carry,
        structure=Affine(terms, read, compose, act, Chunked(STEPS, _gather, outputs, alone=False)),
        output_dim=hidden_dim,
        project=project,
    )


def _gather(params, us, mask, resets):
    """Compose the steps of each chunk, see `Chunked` and the equations above."""
    dtype = us["q"].dtype
    us = {name: jnp.moveaxis(at_least_float32(u), 1, -2) for name, u in us.items()}
    if mask is not None:  # a step that is none keeps all and writes nothing
        there = jnp.moveaxis(mask, 1, -1)[..., None]
        us |= {name: jnp.where(there, us[name], 0) for name in ("log_w", "k", "a")}
    fed, keys, erased = us["v"], us["k"], us["a"] * us["r"]
    after = jnp.cumsum(us["log_w"], axis=-2)
    before, part = after - us["log_w"], begun(after.shape[-2], resets)

    earlier = _left(before, after, reaches(part, strictly=True))
    so_far = _left(after, after, reaches(part))
    solved, kept = inverse(_pairs(us["r"], earlier, erased)), _kept(after, part)
    entering = solved @ (_kept(before, part) * us["r"])
    removed = solved @ (_pairs(us["r"], earlier, keys) @ fed)
    last = so_far[..., -1, :, :]
    erasing, writing = turned(last * erased), turned(last * keys)
    whole = kept[..., -1, :, None] * jnp.eye(keys.shape[-1], dtype=keys.dtype)
    element = whole - erasing @ entering, writing @ fed - erasing @ removed
    erased_seen, written_seen = (_pairs(us["q"], so_far, x) for x in (erased, keys))
    rows = kept * us["q"] - erased_seen @ entering, written_seen @ fed - erased_seen @ removed
    return jax.tree.map(lambda x: x.astype(dtype), (element, rows))


def _left(at, of, holds):
    """Return exp(at - of) `[*, t, s, k]`, what is left of step s at step t, and 0 where it does not reach it."""
    holds, lost = holds[..., None], at[..., :, None, :] - of[..., None, :, :]
    return jnp.where(holds, jnp.exp(jnp.where(holds, lost, 0)), 0)


def _kept(logs, part):
    """Return what is left of the memory that enters the chunk, `[*, t, k]`."""
    return jnp.where(part[..., None] == 0, jnp.exp(logs), 0)


def _pairs(left, between, right):
    return jnp.einsum("...tk,...tsk,...sk->...ts", left, between, right)
