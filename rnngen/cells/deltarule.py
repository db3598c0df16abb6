"""A fast-weight memory written by the delta rule (Schlag et al. 2021), with the gates and sizes of Yang et al. 2024.

k, q = unit vectors along x W_k and x W_q,  v = x W_v,  beta = (1 - min_eigenvalue) sigmoid(x w + b)
S' = S - beta * k (k^T S - v^T)
y  = q^T S'
"""

from rnngen.cells.cell import Cell
from rnngen.cells.fast_weights import delta_memory


def deltarule(hidden_dim: int, *, key_dim: int = 16, min_eigenvalue: float = 0.0, kernel_init="glorot") -> Cell:
    """A memory with keys of `key_dim` features, run by `associative` with its own `compose`. Carry: `S [*b, k, h]`.

    Parameters: `kernel_k`, `kernel_q [d, k]`, `kernel_v [d, h]`, `kernel_beta [d, 1]`, `bias_beta [1]`.
    Output: `y [*b, h]`.

    Args:
      hidden_dim: h, the number of units.
      key_dim: k, the features of a key and of a query.
      min_eigenvalue: the lower end of the range of 1 - beta, by which a step multiplies the memory along its key: -1
        lets beta go up to 2, which tracks states that a positive factor cannot (Grazzi et al. 2025).
      kernel_init: initialiser of all kernels, as `get_initializer` takes it.

    Returns:
      The cell.

    Raises:
      ValueError: a size is not positive, min_eigenvalue is not in [-1, 1), or the initialiser is unknown.
    """
    return delta_memory(hidden_dim, key_dim, min_eigenvalue=min_eigenvalue, kernel_init=kernel_init)
