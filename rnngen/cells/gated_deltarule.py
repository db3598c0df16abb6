"""The gated delta rule (Yang, Kautz and Hatamizadeh 2024, Gated DeltaNet), one head: a delta rule that also forgets.

k, q = unit vectors along x W_k and x W_q,  v = x W_v
beta = (1 - min_eigenvalue) sigmoid(x w_beta + b_beta),  alpha = sigmoid(x w_alpha + b_alpha)
S' = alpha (I - beta k k^T) S + beta k v^T
y  = q^T S'
"""

from rnngen.cells.cell import Cell
from rnngen.cells.fast_weights import delta_memory


def gated_deltarule(
    hidden_dim: int,
    *,
    key_dim: int = 16,
    forget_bias: float = 4.0,
    min_eigenvalue: float = 0.0,
    kernel_init="glorot",
) -> Cell:
    """A delta rule whose whole memory decays by a gate, run in parallel by `associative`. Carry: `S [*b, k, h]`.

    Parameters: `kernel_k`, `kernel_q [d, k]`, `kernel_v [d, h]`, `kernel_beta`, `kernel_alpha [d, 1]`, `bias_beta`,
    `bias_alpha [1]`. Output: `y [*b, h]`. The short convolution and the output gate of the paper's block are not here.

    Args:
      hidden_dim: h, the number of units.
      key_dim: k, the features of a key and of a query.
      forget_bias: `bias_alpha` at the start; 4 keeps 98 % a step.
      min_eigenvalue: the lower end of the range of 1 - beta, down to -1, as in `deltarule`.
      kernel_init: initialiser of all kernels, as `get_initializer` takes it.

    Returns:
      The cell.

    Raises:
      ValueError: a size is not positive, min_eigenvalue is not in [-1, 1), or the initialiser is unknown.
    """
    return delta_memory(
        hidden_dim, key_dim, forget_bias=forget_bias, min_eigenvalue=min_eigenvalue, kernel_init=kernel_init
    )
