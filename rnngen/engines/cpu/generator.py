"""Compiled loops for any pointwise `Gated` cell: its `combine` and the gradient of that, generated as C++.

`kernels/` has everything that cells share: the products of a layer, masks, resets and probes. A cell adds a short
program on the numbers of one unit, read from its jaxpr (`pointwise.py`, `pointstep.py`) and written by `printing.py`.
"""

import functools
import hashlib
import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnngen.cells import Cell
from rnngen.engines.cpu import printing
from rnngen.engines.cpu.build import Library
from rnngen.engines.cpu.pointstep import Slot, trace
from rnngen.engines.cpu.pointwise import NoLoops
from rnngen.types import Array, Carry, Params, PyTree

CALLS = ("forward", "backward")


class Loops(NamedTuple):
    """A cell's compiled loops, with the conversion of its parameters and carry to their arguments.

    hidden: which leaf of the carry is multiplied by the kernel; others: how many other leaves there are. kept: the
    number of residuals per unit and step.
    """

    library: Library
    slots: tuple[Slot, ...]
    hidden: int
    others: int
    kept: int

    def start(self, params: Params, units: int, bias: bool) -> Array:
        """Return the initial value of the sums, `[slots * h]`; `bias` includes that of `project_input`."""
        leaves = jax.tree.leaves(params)

        def block(leaf: Array, number: int) -> Array:
            return jnp.broadcast_to(leaf, (units,)) if leaf.ndim == 0 else leaf.reshape(-1, units)[number]

        def row(slot: Slot) -> Array:
            rows = [block(leaves[leaf], number) for leaf, number in slot.params]
            if bias and slot.u is not None:
                rows.append(block(params["bias"], slot.u))
            return sum(rows, jnp.zeros(units, jnp.float32))

        return jnp.concatenate([row(slot) for slot in self.slots])

    def parts(self, carry: Carry | None) -> tuple[Array, Array]:
        """Split a carry, probes or their gradients into (the hidden leaf, the others stacked `[..., others, h]`)."""
        if carry is None:
            return nothing(), nothing()
        leaves = jax.tree.leaves(carry)
        hidden = leaves.pop(self.hidden)
        return hidden, jnp.stack(leaves, axis=-2) if leaves else nothing()

    def carry(self, like: PyTree, hidden: Array, others: Array) -> Carry:
        """Invert `parts`, in the structure of `like`."""
        leaves = [others[..., i, :] for i in range(self.others)]
        return jax.tree.unflatten(jax.tree.structure(like), [*leaves[: self.hidden], hidden, *leaves[self.hidden :]])


def nothing() -> Array:
    """Return the empty array that stands for an absent argument."""
    return jnp.zeros(0, jnp.float32)


def loops_of(cell: Cell, params: Params, width: int) -> Loops:
    """Return a cell's loops.

    Args:
      params: its prepared parameters, of which only shapes and dtypes matter.
      width: the size of u.

    Raises:
      NoLoops: the structure is not a pointwise `Gated`, an operation is not supported, the output is not the new hidden
        state, a leaf of the carry is not `[h]`, or something is not float32; the message says which.
    """
    try:
        hash(cell)
    except TypeError as error:
        raise NoLoops(f"it cannot be told from other cells: {error}") from error
    leaves, tree = jax.tree.flatten(params)
    found = _loops_of(cell, tuple((leaf.shape, jnp.result_type(leaf)) for leaf in leaves), tree, width)
    if isinstance(found, str):
        raise NoLoops(found)
    return found


@functools.lru_cache(maxsize=256)
def _loops_of(cell: Cell, shapes: tuple, tree: Any, width: int) -> Loops | str:
    params = jax.tree.unflatten(tree, [jax.ShapeDtypeStruct(*shape) for shape in shapes])
    try:
        step = trace(cell, params, width)
        text = printing.struct(step)
    except NoLoops as reason:
        return str(reason)
    except Exception as error:  # a cell may raise anything when traced for one example, and no run must end by that
        return f"tracing it for one example ended in {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    library = Library(f"{_label(cell)}_{hashlib.sha256(text.encode()).hexdigest()[:8]}", "layer.cc", CALLS, text)
    others = len(step.old) - 1
    return Loops(library, tuple(step.slots.values()), step.hidden, others, others + len(step.kept))


def _label(cell: Cell) -> str:
    """Return a readable name: that of the cell's file."""
    structure: Any = cell.structure
    module = getattr(structure.combine, "__module__", None)
    return re.sub(r"\W", "", str(module).rpartition(".")[2]) or "cell"
