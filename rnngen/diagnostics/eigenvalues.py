"""Eigenvalues of recurrent kernels and of the Jacobians of single steps, to be seen beside the unit circle.

XLA has eigenvalues of general matrices on the CPU only, so the matrices are computed in JAX, the rest in NumPy.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.cells import Cell
from rnngen.diagnostics.checks import check_steps
from rnngen.diagnostics.log_norms import named
from rnngen.diagnostics.vector_steps import VectorSteps
from rnngen.types import Array, Carry, Params, PyTree


class RecurrentEigenvalues(NamedTuple):
    """Complex eigenvalues, in no particular order.

    kernel: number of a gate, as "0", -> `[h]`, the eigenvalues of its block of `recurrent_kernel`.
    jacobian: `[steps, *b, n]`, those of dcarry' / dcarry at each step.
    """

    kernel: dict[str, np.ndarray]
    jacobian: np.ndarray


def recurrent_eigenvalues(
    cell: Cell,
    params: Params,
    xs: PyTree,
    carry: Carry | None = None,
    *,
    steps: tuple[int, ...],
    mask: Array | None = None,
    resets: Array | None = None,
) -> RecurrentEigenvalues:
    """`kernel_eigenvalues` of the parameters, and the eigenvalues of `step_jacobians`; not for jit.

    Raises ValueError for steps that are not 0 to t - 1.
    """
    jacobians = step_jacobians(cell, params, xs, carry, steps=steps, mask=mask, resets=resets)
    return RecurrentEigenvalues(kernel_eigenvalues(params), eigenvalues(jacobians))


def step_jacobians(
    cell: Cell,
    params: Params,
    xs: PyTree,
    carry: Carry | None = None,
    *,
    steps: tuple[int, ...],
    mask: Array | None = None,
    resets: Array | None = None,
) -> Array:
    """Jacobians dcarry' / dcarry of the given (static) steps of a sequence xs `[t, *b, d]`: `[steps, *b, n, n]`.

    The carry counts as in `VectorSteps`. That of a masked step is the identity, that of a reset zero.
    Raises ValueError for steps that are not 0 to t - 1.
    """
    run = VectorSteps(cell, params, xs, carry, mask=mask, resets=resets)
    check_steps(steps, run.length)
    chosen = jax.tree.map(lambda x: x[jnp.asarray(steps)], (run.entering(), run.inputs))
    unit = jnp.broadcast_to(jnp.eye(run.size, dtype=run.dtype), (*run.batch, run.size, run.size))
    return jax.vmap(lambda carry, inputs: run.push(carry, inputs, unit)[1])(*chosen)


def kernel_eigenvalues(params: Params) -> dict[str, np.ndarray]:
    """Eigenvalues `[h]` of each square block of each `recurrent_kernel` `[h, g*h]`, before `prepare`.

    Named by the block's number, and in a model's parameters by the layer before that: "layer_0/1". {} where there is
    no such parameter. Raises ValueError for one of another shape, as a transposed one has.
    """
    found: dict[str, np.ndarray] = {}
    for path, kernel in named(params):
        layer, _, name = path.rpartition("/")
        if name == "recurrent_kernel":
            if kernel.ndim != 2 or kernel.shape[1] % kernel.shape[0]:
                raise ValueError(f"{path} must be [h, g*h], got an array of shape {list(kernel.shape)}")
            blocks = np.split(np.asarray(kernel), kernel.shape[1] // kernel.shape[0], axis=1)
            found |= {f"{layer}/{i}".lstrip("/"): eigenvalues(block) for i, block in enumerate(blocks)}
    return found


def eigenvalues(matrices: Array | np.ndarray) -> np.ndarray:
    """Complex eigenvalues of matrices `[..., n, n]` -> `[..., n]`, on the host; NaN for one that is not all finite.

    Raises ValueError for matrices that are not square.
    """
    matrices = np.asarray(matrices)
    if matrices.ndim < 2 or matrices.shape[-1] != matrices.shape[-2]:
        raise ValueError(f"matrices must be [..., n, n], got an array of shape {list(matrices.shape)}")
    finite = np.isfinite(matrices).all(axis=(-1, -2))
    # NumPy refuses a whole batch for one that is not finite.
    known = np.where(finite[..., None, None], matrices, 0).astype(np.result_type(matrices, np.float64))
    return np.where(finite[..., None], np.linalg.eigvals(known), complex(np.nan, np.nan))
