"""Eigenvalues of recurrent kernels and of the Jacobians of single steps, to be seen beside the unit circle.

XLA has eigenvalues of general matrices on the CPU only, so the matrices are computed in JAX, the rest in NumPy.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.cells import Cell
from rnngen.cells.cell import KERNEL
from rnngen.diagnostics.checks import check_steps
from rnngen.diagnostics.diagnosis import Diagnosis, Kind, first_examples, flags
from rnngen.diagnostics.log_norms import named
from rnngen.diagnostics.vector_steps import VectorSteps
from rnngen.models import stepwise
from rnngen.plotting.figure import Look, figure
from rnngen.plotting.records import diagnosed, is_numbers, pairs
from rnngen.types import Array, Carry, Params, PyTree, check_positive

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class RecurrentEigenvalues(NamedTuple):
    """Complex eigenvalues, in no particular order.

    Attributes:
      kernel: number of a gate, as "0", -> `[h]`, the eigenvalues of its block of `recurrent_kernel`.
      jacobian: `[steps, *b, n]`, those of dcarry' / dcarry at each step.
    """

    kernel: dict[str, np.ndarray]
    jacobian: np.ndarray


def recurrent_eigenvalues_diagnosis(steps: tuple[int, ...] = (), examples: int = 1) -> Diagnosis:
    """Eigenvalues of each recurrent kernel, and of the step's Jacobian at some steps.

    Args:
      steps: at which the Jacobian is taken; none: first, middle, last.
      examples: of the batch, from the first.

    Returns:
      The diagnosis.
    """
    check_positive(examples=examples)

    def measure(model, params, batch, task):
        few, last = first_examples(batch, examples), batch.weights.shape[0] - 1
        chosen = tuple(steps) or tuple(sorted({0, last // 2, last}))
        jacobians = step_jacobians(stepwise(model).cell, params, few.inputs, steps=chosen, **flags(few))
        kernels = {name: {KERNEL: p[KERNEL]} for name, p in params.items() if KERNEL in p}
        return {"steps": jnp.asarray(chosen), "jacobians": jacobians, "kernels": kernels}

    def record(found):
        return {
            "steps": found["steps"].tolist(),
            "kernel": {name: _complex(values) for name, values in kernel_eigenvalues(found["kernels"]).items()},
            "jacobian": [_complex(eigenvalues(at_step)) for at_step in found["jacobians"]],
        }

    return Diagnosis(measure, record, check=lambda size, length: check_steps(tuple(steps) or (0,), length))


def _complex(values: np.ndarray) -> dict[str, list]:
    return {"real": values.real.tolist(), "imag": values.imag.tolist()}


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
    """Compute `kernel_eigenvalues` and the eigenvalues of `step_jacobians`; not jittable.

    Args:
      cell, params, xs, carry, mask, resets: as in `unroll`.
      steps: those at which the Jacobian is taken.

    Returns:
      The eigenvalues of the kernels and of the Jacobians.

    Raises:
      ValueError: steps that are not 0 to t - 1.
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
    """Compute the Jacobians dcarry' / dcarry of some steps of a sequence.

    The carry counts as in `VectorSteps`. That of a masked step is the identity, that of a reset zero.

    Args:
      cell, params, xs, carry, mask, resets: as in `unroll`.
      steps: static numbers of steps.

    Returns:
      `[steps, *b, n, n]`.

    Raises:
      ValueError: steps that are not 0 to t - 1.
    """
    run = VectorSteps(cell, params, xs, carry, mask=mask, resets=resets)
    check_steps(steps, run.length)
    chosen = jax.tree.map(lambda x: x[jnp.asarray(steps)], (run.entering(), run.inputs))
    unit = jnp.broadcast_to(jnp.eye(run.size, dtype=run.dtype), (*run.batch, run.size, run.size))
    return jax.vmap(lambda carry, inputs: run.push(carry, inputs, unit)[1])(*chosen)


def kernel_eigenvalues(params: Params) -> dict[str, np.ndarray]:
    """Compute the eigenvalues of each square block of each `recurrent_kernel` `[h, g*h]`, before `prepare`.

    Returns:
      name -> `[h]`. The name is the block's number, in a model's parameters after the layer: "layer_0/1". {} where
      there is no such parameter.

    Raises:
      ValueError: a kernel of another shape, such as a transposed one.
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
    """Compute complex eigenvalues of matrices `[..., n, n]` -> `[..., n]`, on the host; NaN for one that is not finite.

    Raises:
      ValueError: the matrices are not square.
    """
    matrices = np.asarray(matrices)
    if matrices.ndim < 2 or matrices.shape[-1] != matrices.shape[-2]:
        raise ValueError(f"matrices must be [..., n, n], got an array of shape {list(matrices.shape)}")
    finite = np.isfinite(matrices).all(axis=(-1, -2))
    # NumPy refuses a whole batch for one that is not finite.
    known = np.where(finite[..., None, None], matrices, 0).astype(np.result_type(matrices, np.float64))
    return np.where(finite[..., None], np.linalg.eigvals(known), complex(np.nan, np.nan))


@figure(
    "Eigenvalues of the step",
    "Eigenvalues of the Jacobian of one step in the complex plane, of each cell's first trial at the middle one "
    "of the recorded steps; grey: the unit circle.",
    name="recurrent_eigenvalues",
)
def plot_eigenvalues(sweep: Any, look: Look) -> "Figure":
    """Draw eigenvalues of the step's Jacobian in the complex plane with the unit circle, before and after training.

    One panel a cell, of its first trial, at the middle one of the recorded steps.
    """
    from rnngen.plotting.style import unit_circle

    rows = diagnosed(sweep, "recurrent_eigenvalues", {"jacobian": [pairs("real", "imag", is_numbers, np.size)]})
    rows, colour = look.curves(rows[rows["trial"].isin(rows.groupby("curve", sort=False)["trial"].first())])
    figure, grid = look.panels(2, len(colour), width=2.0, height=2.0)
    for number, (moment, chosen) in enumerate(sweep.moments(rows).items()):
        for axes, name in zip(grid[number], colour, strict=True):
            for at_steps in filter(None, chosen.loc[chosen["curve"] == name, "jacobian"]):
                at_step = at_steps[len(at_steps) // 2]
                axes.plot(np.ravel(at_step["real"]), np.ravel(at_step["imag"]), ".", color=colour[name], markersize=3)
            unit_circle(axes)
            axes.set(title="" if number else name, xlabel="real" if number else "")
        grid[number][0].set_ylabel(f"imaginary,\n{moment}")
    return figure


DIAGNOSIS = Kind("recurrent_eigenvalues", recurrent_eigenvalues_diagnosis, plot_eigenvalues)
