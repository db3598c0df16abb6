"""Compiled loops for any pointwise `Gated` cell: its `combine`, and the gradient of that, printed as C++.

`kernels/` has the products of a layer and all that is around a step. What is left of a cell is a short program on the
numbers of one unit, which is read off its jaxpr (`pointwise.py`, `pointstep.py`) and written as C++ (`printing.py`).
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
    """A cell's compiled loops, and how its parameters and its carry are handed to them.

    hidden: which leaf of the carry the product is of; others: how many more there are. kept: numbers that are kept a
    unit and step for the way back.
    """

    library: Library
    slots: tuple[Slot, ...]
    hidden: int
    others: int
    kept: int

    def start(self, params: Params, units: int, bias: bool) -> Array:
        """`[slots * h]`: what the sums start from; bias: with that of `project_input`."""
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
        """(the hidden leaf, the others stacked `[..., others, h]`) of a carry, of probes or of their gradients."""
        if carry is None:
            return nothing(), nothing()
        leaves = jax.tree.leaves(carry)
        hidden = leaves.pop(self.hidden)
        return hidden, jnp.stack(leaves, axis=-2) if leaves else nothing()

    def carry(self, like: PyTree, hidden: Array, others: Array) -> Carry:
        """The inverse of `parts`, in the structure of `like`."""
        leaves = [others[..., i, :] for i in range(self.others)]
        return jax.tree.unflatten(jax.tree.structure(like), [*leaves[: self.hidden], hidden, *leaves[self.hidden :]])


def nothing() -> Array:
    """What a loop is handed for what there is not."""
    return jnp.zeros(0, jnp.float32)


def loops_of(cell: Cell, params: Params, width: int) -> Loops:
    """A cell's loops, from its prepared parameters, of which only shapes and dtypes are looked at, and the width of u.

    Raises NoLoops, with a reason for a person, for another structure than a pointwise `Gated`, an operation that is
    not known, an output other than the new hidden state, a carry whose leaves are not all `[h]`, and anything but
    float32.
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
    except Exception as error:  # whatever a cell raises where it is traced for one example: no run ends by that
        return f"tracing it for one example ended in {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    library = Library(f"{_label(cell)}_{hashlib.sha256(text.encode()).hexdigest()[:8]}", "layer.cc", CALLS, text)
    others = len(step.old) - 1
    return Loops(library, tuple(step.slots.values()), step.hidden, others, others + len(step.kept))


def _label(cell: Cell) -> str:
    """What a person calls it: the file that it is from."""
    structure: Any = cell.structure
    module = getattr(structure.combine, "__module__", None)
    return re.sub(r"\W", "", str(module).rpartition(".")[2]) or "cell"
