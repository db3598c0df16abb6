"""DeltaProduct (Siems et al. 2025), one head: n steps of the delta rule within a step of time.

k_j = unit vector along x W_kj,  v_j = x W_vj,  beta_j = (1 - min_eigenvalue) sigmoid(x w_j + b_j),  j = 1 ... n
S_0 = S,  S_j = S_{j-1} - beta_j k_j (k_j^T S_{j-1} - v_j^T),  S' = S_n
y   = q^T S',  q = unit vector along x W_q

A product of n generalised Householder matrices: with betas up to 2 also rotations, of complex eigenvalues.
"""

from rnngen.cells.cell import Cell
from rnngen.cells.fast_weights import delta_memory


def deltaproduct(
    hidden_dim: int, *, key_dim: int = 16, factors: int = 2, min_eigenvalue: float = -1.0, kernel_init="glorot"
) -> Cell:
    """A memory with several keys a step, run in parallel by `associative`. Carry: `S [*b, k, h]`.

    Parameters: `kernel_k [d, n*k]`, `kernel_q [d, k]`, `kernel_v [d, n*h]`, `kernel_beta [d, n]`, `bias_beta [n]`.
    Output: `y [*b, h]`. With one factor it is `deltarule`.

    Args:
      hidden_dim: h, the number of units.
      key_dim: k, the features of a key and of a query.
      factors: n, the keys of a step, at most k.
      min_eigenvalue: the lower end of the range of each 1 - beta_j: 0 keeps S from changing its sign, and -1, as in the
        paper's experiments on groups, allows reflections.
      kernel_init: initialiser of all kernels, as `get_initializer` takes it.

    Returns:
      The cell.

    Raises:
      ValueError: a size is not positive, there are more factors than key_dim, min_eigenvalue is not in [-1, 1), or the
        initialiser is unknown.
    """
    return delta_memory(hidden_dim, key_dim, factors=factors, min_eigenvalue=min_eigenvalue, kernel_init=kernel_init)
