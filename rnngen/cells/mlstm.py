"""The mLSTM of Beck et al. 2024 (xLSTM), one head: a matrix memory with exponential gates that do not look at it.

q = x W_q,  k = x W_k / sqrt(k),  v = x W_v,  o = sigmoid(x W_o + b_o)
i~ = x w_i + b_i,  f~ = log sigmoid(x w_f + b_f)
m' = max(f~ + m, i~),  i = exp(i~ - m'),  f = exp(f~ + m - m')
S' = f S + i k v^T,  n' = f n + i k
y  = o * (q^T S') / max(|q^T n'|, exp(-m'))
"""

import jax
import jax.numpy as jnp

from rnngen.cells.cell import Affine, Cell, affine_cell
from rnngen.cells.initializers import get_initializer, named_kernels
from rnngen.types import check_positive

# No number of a memory is divided by more than exp(80), which float32 has: below it, y is 0 anyway.
LOWEST = -80.0


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
        structure=Affine(_terms, _read, _compose, _act),
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
    size = jnp.abs(jnp.sum(carries["n"] * us["q"], axis=-1, keepdims=True))
    return us["o"] * seen / jnp.maximum(size, jnp.exp(-jnp.maximum(carries["m"], LOWEST)))
