"""How large the carry is along a sequence, and how far from where it ends (Arjovsky et al. 2016, figure 4)."""

import jax
import jax.numpy as jnp

from rnngen.cells import Cell
from rnngen.diagnostics.log_norms import named
from rnngen.engines import batch_shape, prepare_unroll
from rnngen.engines.steps import full_step, project
from rnngen.engines.trees import is_float
from rnngen.types import Array, Carry, Params, PyTree


def carry_norms(
    cell: Cell,
    params: Params,
    xs: PyTree,
    carry: Carry | None = None,
    *,
    mask: Array | None = None,
    resets: Array | None = None,
) -> dict[str, dict[str, Array]]:
    """Norms, per example, of the carry that leaves each step: `{"norm": {leaf: [t, *b]}, "to_last": ...}`.

    to_last: the norm of its difference from the carry that leaves the last step. Leaves are named as in
    `log_gradient_norms`; integer leaves have no norm.
    """
    run = prepare_unroll(cell, params, xs, carry, mask=mask, resets=resets)
    step = full_step(run.cell)

    def forward(carry, inputs):
        after, _ = step(run.params, carry, inputs)
        return after, after

    last, carries = jax.lax.scan(forward, run.carry, project(run.cell, run.params, run.inputs))
    batch = batch_shape(xs, mask, resets)
    moved = [(name, leaf, end) for (name, leaf), (_, end) in zip(named(carries), named(last), strict=True)]
    norms = {name: _norm(leaf, batch) for name, leaf, _ in moved if is_float(leaf)}
    return {
        "norm": norms,
        "to_last": {name: _norm(leaf - end, batch) for name, leaf, end in moved if is_float(leaf)},
    }


def _norm(leaf: Array, batch: tuple[int, ...]) -> Array:
    """`[t, *b, ...]` -> `[t, *b]`."""
    return jnp.linalg.norm(leaf.reshape(leaf.shape[0], *batch, -1).astype(jnp.float32), axis=-1)
