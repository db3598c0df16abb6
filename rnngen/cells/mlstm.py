"""The mLSTM of Beck et al. 2024 (xLSTM), one head: a matrix memory with exponential gates that do not look at it.

q = x W_q,  k = x W_k / sqrt(k),  v = x W_v,  o = sigmoid(x W_o + b_o)
i~ = x w_i + b_i,  f~ = log sigmoid(x w_f + b_f)
m' = max(f~ + m, i~),  i = exp(i~ - m'),  f = exp(f~ + m - m')
S' = f S + i k v^T,  n' = f n + i k
y  = o * (q^T S') / max(|q^T n'|, exp(-m'))

Within a chunk, what step s wrote has at step t the weight exp(F_t - F_s + i~_s), F the sum of f~: a triangular matrix
of scores, as in attention. What entered the chunk and what it wrote have each their stabiliser, which meet in the end.
"""

import jax
import jax.numpy as jnp

from rnngen.cells.cell import Affine, Cell, Chunked, affine_cell
from rnngen.cells.chunks import LONGEST, begun, reaches, turned
from rnngen.cells.initializers import get_initializer, named_kernels
from rnngen.types import at_least_float32, check_positive

# No number of a memory is divided by more than exp(80), which float32 has: below it, y is 0 anyway.
LOWEST = -80.0
NOTHING = -1e30  # the logarithm of no weight


def mlstm(hidden_dim: int, *, key_dim: int = 16, forget_bias: float = 3.0, kernel_init="glorot") -> Cell:
    """An mLSTM, run in parallel by `associative`. Carry: `{"S" [*b, k, h], "n" [*b, k], "m" [*b, 1]}`.

    Parameters: `kernel_q`, `kernel_k [d, k]`, `kernel_v`, `kernel_o [d, h]`, `kernel_i`, `kernel_f [d, 1]`, `bias_o
    [h]`, `bias_i`, `bias_f [1]`. Output: `y [*b, h]`. What S and n stand for is exp(m) times them, which may be beyond
    the range of floats. Normalisation, convolution and projections of the paper's block are not here.

    Args:
      hidden_dim: h, the number of units.
      key_dim: k, the features of a key and of a query.
      forget_bias: `bias_f` at the start.
      kernel_init: initialiser of all kernels, as `get_initializer` takes it.

    Returns:
      The cell.

    Raises:
      ValueError: a size is not positive, or the initialiser is unknown.
    """
    check_positive(hidden_dim=hidden_dim, key_dim=key_dim)
    draw = get_initializer(kernel_init)
    wide = {"q": key_dim, "k": key_dim, "v": hidden_dim, "o": hidden_dim, "i": 1, "f": 1}

    def init(key, input_dim):
        params = named_kernels(draw, key, input_dim, {name: (1, width) for name, width in wide.items()})
        biases = {"o": 0.0, "i": 0.0, "f": forget_bias}
        return params | {f"bias_{name}": jnp.full(wide[name], bias, jnp.float32) for name, bias in biases.items()}

    def init_carry(params, batch_shape):
        zeros = lambda *tail: jnp.zeros((*batch_shape, *tail), params["bias_o"].dtype)  # noqa: E731
        return {"S": zeros(key_dim, hidden_dim), "n": zeros(key_dim), "m": zeros(1)}

    def project(params, xs, key=None):
        us = {name: xs @ params[f"kernel_{name}"] for name in wide}
        us |= {name: us[name] + params[f"bias_{name}"] for name in "oif"}
        return us | {"k": us["k"] / key_dim**0.5, "o": jax.nn.sigmoid(us["o"]), "f": jax.nn.log_sigmoid(us["f"])}

    def observe(params, carry, u):
        i, f, _ = _gates(u["f"], carry["m"], u["i"])
        return {"i": i, "f": f, "o": u["o"]}

    return affine_cell(
        init=init,
        init_carry=init_carry,
        structure=Affine(_terms, _read, _compose, _act, Chunked(LONGEST, _gather, _outputs, alone=False)),
        output_dim=hidden_dim,
        project=project,
        observe=observe,
    )


def _terms(params, us):
    """Return a step that multiplies by exp(f) and adds exp(m) times (S, n)."""
    return {"f": us["f"], "m": us["i"], "n": us["k"], "S": us["k"][..., :, None] * us["v"][..., None, :]}


def _gates(f, m, added):
    """Return (i, f, m'): the factors of what is added and of what there was, and their common stabiliser."""
    new = jnp.maximum(f + m, added)
    return jnp.exp(added - new), jnp.exp(f + m - new), new


def _act(element, carry):
    i, f, m = _gates(element["f"], carry["m"], element["m"])
    memory = f[..., None] * carry["S"] + i[..., None] * element["S"]
    return {"S": memory, "n": f * carry["n"] + i * element["n"], "m": m}


def _compose(later, earlier):
    return _act(later, earlier) | {"f": later["f"] + earlier["f"]}


def _read(params, carries, us):
    seen = jnp.einsum("...kh,...k->...h", carries["S"], us["q"])
    size = jnp.sum(carries["n"] * us["q"], axis=-1, keepdims=True)
    return _scaled(us["o"], seen, size, carries["m"])


def _scaled(o, seen, size, m):
    return o * seen / jnp.maximum(jnp.abs(size), jnp.exp(-jnp.maximum(m, LOWEST)))


def _gather(params, us, mask, resets):
    """Compose the steps of each chunk, see `Chunked`; rows: of queries, and of what the chunk itself has written."""
    dtype = us["q"].dtype
    us = {name: jnp.moveaxis(at_least_float32(u), 1, -2) for name, u in us.items()}
    forget, write = us["f"][..., 0], us["i"][..., 0]
    there = None if mask is None else jnp.moveaxis(mask, 1, -1)
    forget = forget if there is None else jnp.where(there, forget, 0)
    total, part = jnp.cumsum(forget, axis=-1), begun(forget.shape[-1], resets)

    same = reaches(part)
    holds = same if there is None else same & there[..., None, :]
    logs = jnp.where(holds, total[..., :, None] - total[..., None, :] + write[..., None, :], NOTHING)
    m = jnp.max(logs, axis=-1)
    if resets is not None:  # an empty memory has a stabiliser too: 0, which fades like a write
        since = total[..., :, None] - (total - forget)[..., None, :]
        since = jnp.where(same & jnp.moveaxis(resets, 1, -1)[..., None, :], since, NOTHING)
        m = jnp.maximum(m, jnp.max(since, axis=-1))
    weights = jnp.where(holds, jnp.exp(jnp.where(holds, logs - m[..., None], 0)), 0)

    seen, last = weights * (us["q"] @ turned(us["k"])), weights[..., -1, :, None] * us["k"]
    kept, m = jnp.where(part == 0, total, NOTHING)[..., None], m[..., None]
    rows = {"q": us["q"], "o": us["o"], "f": kept, "m": m, "y": seen @ us["v"], "size": jnp.sum(seen, -1)[..., None]}
    element = {"f": kept[..., -1, :], "m": m[..., -1, :], "n": jnp.sum(last, axis=-2), "S": turned(last) @ us["v"]}
    return jax.tree.map(lambda x: x.astype(dtype), (element, rows))


def _outputs(rows, carry):
    within, before, m = _gates(rows["f"], carry["m"][..., None, :], rows["m"])
    seen = before * (rows["q"] @ carry["S"]) + within * rows["y"]
    size = before * (rows["q"] @ carry["n"][..., None]) + within * rows["size"]
    return jnp.moveaxis(_scaled(rows["o"], seen, size, m), -2, 0)
