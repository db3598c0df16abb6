"""What cells with a matrix for a memory share: `S [*b, k, h]`, moved by S' = A S + B and read by a query, y = q^T S'.

The delta rule and its relatives have A = alpha (I - beta_n k_n k_n^T) ... (I - beta_1 k_1 k_1^T): along each key of
length 1 the memory is multiplied by 1 - beta, an eigenvalue of A, and moved towards a value.
"""

import jax
import jax.numpy as jnp

from rnngen.cells.cell import Affine, Cell, Chunked, affine_cell
from rnngen.cells.chunks import LONGEST
from rnngen.cells.householder import gather, outputs
from rnngen.cells.initializers import check_min_eigenvalue, get_initializer, named_kernels
from rnngen.types import Array, Params, PyTree, check_positive

Element = tuple[Array, Array]  # A `[*b, k, k]` and B `[*b, k, h]`


def compose(later: Element, earlier: Element) -> Element:
    """Compose two steps.

    Args:
      later, earlier: (A, B) of the steps.

    Returns:
      (A, B) of both.
    """
    return later[0] @ earlier[0], later[0] @ earlier[1] + later[1]


def act(element: Element, memory: Array) -> Array:
    """Compute A S + B.

    Args:
      element: (A, B).
      memory: S `[*b, k, h]`.

    Returns:
      The new memory.
    """
    return element[0] @ memory + element[1]


def read(params: Params, memory: Array, us: PyTree) -> Array:
    """Compute q^T S: the readout.

    Args:
      params: not used.
      memory: S `[*b, k, h]`.
      us: with `q [*b, k]`.

    Returns:
      y `[*b, h]`.
    """
    return jnp.einsum("...kh,...k->...h", memory, us["q"])


def unit(x: Array) -> Array:
    """Scale vectors to length 1.

    Args:
      x: `[*b, k]`.

    Returns:
      The unit vectors; zeros stay.
    """
    return x * jax.lax.rsqrt(jnp.sum(x * x, axis=-1, keepdims=True) + 1e-6)


def delta_memory(
    hidden_dim: int,
    key_dim: int,
    *,
    factors: int = 1,
    forget_bias: float | None = None,
    min_eigenvalue: float = 0.0,
    kernel_init="glorot",
) -> Cell:
    """Make a memory that a step writes to by the delta rule, `factors` times one after another.

    Args:
      hidden_dim: h, the number of units.
      key_dim: k, the features of a key and of a query.
      factors: n, the keys of a step, each with its own value and beta.
      forget_bias: the bias of the gate alpha at the start; None: there is no such gate.
      min_eigenvalue: the lower end of the range of 1 - beta.
      kernel_init: initialiser of all kernels, as `get_initializer` takes it.

    Returns:
      The cell.

    Raises:
      ValueError: an argument is out of range, or the initialiser is unknown.
    """
    check_positive(hidden_dim=hidden_dim, key_dim=key_dim, factors=factors)
    if factors > key_dim:  # as many reflections make every rotation of the keys
        raise ValueError(f"factors must be at most key_dim, which is {key_dim}, got {factors}")
    check_min_eigenvalue(min_eigenvalue)
    draw, gated = get_initializer(kernel_init), forget_bias is not None
    widths = {"k": (factors, key_dim), "q": (1, key_dim), "v": (factors, hidden_dim), "beta": (factors, 1)}
    widths |= {"alpha": (1, 1)} if gated else {}
    chunked = Chunked(max(1, LONGEST // factors), lambda params, us, mask, resets: gather(us, mask, resets), outputs)

    def init(key, input_dim):
        params = named_kernels(draw, key, input_dim, widths) | {"bias_beta": jnp.zeros(factors, jnp.float32)}
        return params if forget_bias is None else params | {"bias_alpha": jnp.full(1, forget_bias, jnp.float32)}

    def init_carry(params, batch_shape):
        return jnp.zeros((*batch_shape, key_dim, hidden_dim), params["bias_beta"].dtype)

    def project(params, xs, key=None):
        us = {name: xs @ params[f"kernel_{name}"] for name in widths}
        us |= {name: us[name].reshape(*xs.shape[:-1], *widths[name]) for name in "kv"}
        beta = (1 - min_eigenvalue) * jax.nn.sigmoid(us["beta"] + params["bias_beta"])
        gate = {"log_alpha": jax.nn.log_sigmoid(us.pop("alpha") + params["bias_alpha"])} if gated else {}
        return us | {"k": unit(us["k"]), "q": unit(us["q"]), "beta": beta} | gate

    def terms(params, us):
        steps = [_write(us["k"][..., j, :], us["v"][..., j, :], us["beta"][..., j, None]) for j in range(factors)]
        forget, write = steps[0]
        for step in steps[1:]:
            forget, write = compose(step, (forget, write))
        return jnp.exp(us["log_alpha"])[..., None] * forget if gated else forget, write

    return affine_cell(
        init=init,
        init_carry=init_carry,
        structure=Affine(terms, read, compose, act, chunked),
        output_dim=hidden_dim,
        project=project,
    )


def _write(key: Array, value: Array, beta: Array) -> Element:
    """Compute I - beta k k^T and beta k v^T, of k `[*b, k]`, v `[*b, h]` and beta `[*b, 1]`."""
    scaled = (beta * key)[..., :, None]
    return jnp.eye(key.shape[-1], dtype=key.dtype) - scaled * key[..., None, :], scaled * value[..., None, :]
