"""One step of a unit of a pointwise `Gated` cell, forward and backward, as a graph of operations.

The arguments of `combine` for a unit are slots: u + a where they only occur as a sum, else u and a apart. A parameter
that is only added to one of these is part of its slot; any other has a slot of its own. The gradient in a slot is the
gradient in each of its terms.
"""

import functools
from collections import Counter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnngen.cells import Cell, Gated
from rnngen.cells.cell import KERNEL
from rnngen.engines.cpu.pointwise import DEAR, TRUTHS, Graph, NoLoops, read
from rnngen.types import Carry, Params

MOST_SLOTS = 24
KINDS = ((False, True), (True, True), (True, False), (False, False))  # is u, is a in a slot
PARAMETER = 3  # the last kind: neither is
SUMMED = ("u", "a", "params")  # leaves that are read from slots


class Slot(NamedTuple):
    """The terms of a sum for a unit: a block of `u`, a block of `a`, and (leaf, block) of the parameters."""

    u: int | None
    a: int | None
    params: tuple[tuple[int, int], ...]

    @property
    def kind(self) -> int:
        """The rank in the order: `a` alone, sums of both, `u` alone, parameters. Each product's slots are adjacent."""
        return KINDS.index((self.u is not None, self.a is not None))


class PointStep(NamedTuple):
    """Indices of nodes in a graph; of a carry, first the hidden leaf's, then the others'.

    hidden: which leaf of the carry is multiplied by the kernel. slots: by node. old, new: the carry that enters, and
    that leaves. kept: the other residuals. d: the gradient in `new`; dsums: in each slot; dold: in `old`, without the
    part through the product. u_blocks, a_blocks: their numbers.
    """

    graph: Graph
    hidden: int
    slots: dict[int, Slot]
    old: list[int]
    new: list[int]
    kept: list[int]
    d: list[int]
    dsums: list[int]
    dold: list[int]
    u_blocks: int
    a_blocks: int


def trace(cell: Cell, params: Params, width: int) -> PointStep:
    """Trace the step of a cell for parameters of these shapes and `width` of u. Raises NoLoops, see `loops_of`."""
    structure = cell.structure
    if not isinstance(structure, Gated) or not structure.pointwise:
        raise NoLoops("it has no pointwise Gated structure")
    carry, units = jax.eval_shape(lambda p: cell.init_carry(p, ()), params), cell.output_dim
    if any(leaf.dtype != jnp.float32 for leaf in jax.tree.leaves((params, carry))):
        raise NoLoops("its parameters or its carry are not all float32")
    if any(leaf.shape != (units,) for leaf in jax.tree.leaves(carry)):
        raise NoLoops(f"not every leaf of its carry is [{units}]")
    vector = lambda n: jax.ShapeDtypeStruct((n,), jnp.float32)  # noqa: E731
    given = {"params": params, "carry": carry, "u": vector(width), "a": vector(params[KERNEL].shape[-1])}
    traced = _Traced(structure, given, units)
    graph, hidden = traced.graph, _hidden(structure, carry)
    new, y = traced.get("new"), traced.get("y")
    if y != [new[hidden]]:
        raise NoLoops("its output is not its new hidden state")
    slots = _slots(graph, new)
    dsums = [traced.gradient(slot) for slot in slots.values()]
    first = lambda leaves: [leaves[hidden], *leaves[:hidden], *leaves[hidden + 1 :]]  # noqa: E731
    leaves = lambda name: first([graph.add("leaf", (name, i), 0) for i in range(len(new))])  # noqa: E731
    new, dold, old, d = first(new), first(traced.get("carry")), leaves("carry"), leaves("d")
    kept = _kept(graph, [*dsums, *dold], slots, {*old, *new, *d})
    return PointStep(graph, hidden, slots, old, new, kept, d, dsums, dold, width // units, given["a"].shape[0] // units)


def _hidden(structure: Gated, carry: Carry) -> int:
    """Return the index of the carry's leaf that `hidden` returns."""
    closed = jax.make_jaxpr(structure.hidden)(carry)
    if closed.jaxpr.outvars[0] not in closed.jaxpr.invars:
        raise NoLoops("what is multiplied by the recurrent kernel is not a leaf of its carry")
    return closed.jaxpr.invars.index(closed.jaxpr.outvars[0])


class _Traced:
    """`combine` and its vjp as one jaxpr, whose outputs are read into a graph on request."""

    def __init__(self, structure: Gated, given: dict[str, Any], units: int):
        def both(given, dnew):
            run = lambda g: structure.combine(g["params"], g["carry"], g["u"], g["a"])  # noqa: E731
            new, pull, y = jax.vjp(run, given, has_aux=True)
            return {"new": new, "y": y} | pull(dnew)[0]

        self.graph, self.units = Graph(), units
        self.closed, out = jax.make_jaxpr(both, return_shape=True)(given, given["carry"])
        leaves = [*_named(given), *_named({"d": given["carry"]})]
        self.inputs = [functools.partial(self.graph.leaf, name, leaf.shape, units) for name, leaf in leaves]
        self.outputs = [name for name, _ in _named(out)]

    def get(self, name: str, leaf: int | None = None) -> list[int]:
        """Return the nodes of all blocks of an output, or of one leaf of it."""
        wanted = [i for i, (n, number) in enumerate(self.outputs) if n == name and leaf in (None, number)]
        values = read(self.graph, self.closed, self.inputs, self.units, wanted)
        return [int(place) for value in values for place in value.nodes.ravel()]

    def gradient(self, slot: Slot) -> int:
        """Return the gradient in a slot, which is that in any of its terms."""
        if slot.u is not None:
            return self.get("u")[slot.u]
        if slot.a is not None:
            return self.get("a")[slot.a]
        leaf, block = slot.params[0]
        return self.get("params", leaf)[block]


def _named(tree: dict[str, Any]) -> list[tuple[tuple[str, int], Any]]:
    """Return ((name, number of the leaf), leaf) in JAX's order of a dict's leaves."""
    return [((name, i), leaf) for name in sorted(tree) for i, leaf in enumerate(jax.tree.leaves(tree[name]))]


def _slots(graph: Graph, roots: list[int]) -> dict[int, Slot]:
    """Return the slots that these nodes depend on."""
    places = graph.reached(roots)
    users = Counter(roots) + Counter(place for node in places for place in graph.arguments(node))

    def leaf(place: int) -> tuple[str, int, int] | None:
        operation, *arguments = graph.nodes[place]
        return (*arguments[0], arguments[1]) if operation == "leaf" and arguments[0][0] in SUMMED else None

    def terms(place: int) -> list[tuple[str, int, int]] | None:
        """Return the terms of a node that is a sum of leaves read nowhere else; None for any other."""
        if own := leaf(place):
            return [own]
        parts = [terms(x) if users[x] == 1 else None for x in graph.arguments(place)]
        if graph.nodes[place][0] != "add" or None in parts:
            return None
        found = [term for part in parts for term in part or ()]
        kinds = Counter(kind for kind, _, _ in found)
        return found if kinds["u"] <= 1 and kinds["a"] <= 1 and kinds["u"] + kinds["a"] else None

    def found(place: int) -> bool:
        return terms(place) is not None

    tops = [(place, terms(place)) for place in graph.reached(roots, found)]
    slots = {place: _slot(sum_) for place, sum_ in tops if sum_ is not None}
    if len(slots) > MOST_SLOTS:
        raise NoLoops(f"{len(slots)} blocks of sums and parameters, more than {MOST_SLOTS}")
    if not any(slot.a is not None for slot in slots.values()):
        raise NoLoops("it does not read its product")
    return dict(sorted(slots.items(), key=lambda item: (item[1].kind, item[1].u or 0, item[1].a or 0, item[1].params)))


def _slot(terms: list[tuple[str, int, int]]) -> Slot:
    blocks = {kind: block for kind, _, block in terms}
    return Slot(blocks.get("u"), blocks.get("a"), tuple((i, block) for kind, i, block in terms if kind == "params"))


def _kept(graph: Graph, roots: list[int], slots: dict[int, Slot], free: set[int]) -> list[int]:
    """Choose the residuals for these gradients: as few as possible, without computing anything expensive twice.

    free: nodes that are available anyway. Cheap operations are recomputed where one residual is enough for them, or
    several that are saved anyway.
    """
    free = free | {place for place, slot in slots.items() if slot.kind == PARAMETER}
    gradients = _depending(graph, graph.reached(roots))
    needed = {x for place in gradients for x in graph.arguments(place)} - gradients | (set(roots) - gradients)
    kept: set[int] = set()
    for several in (False, True):
        sources: dict[int, set[int]] = {}  # residuals that each node needs
        for place in graph.reached(needed):
            operation = graph.nodes[place][0]
            found = set[int]().union(*(sources[x] for x in graph.arguments(place)))
            if place in free or place in kept or operation in ("constant", "truth"):
                found = set()
            elif place in slots or (found and operation in DEAR):
                found = {place}
            if place in needed and (len(found) == 1 or several):
                # A boolean cannot be a residual.
                kept |= found if len(found) < 2 or operation in TRUTHS else {place}
                found = set()
            sources[place] = found
    return sorted(kept)


def _depending(graph: Graph, places: list[int]) -> set[int]:
    """Return the nodes, of some in order, that depend on an incoming gradient."""
    found: set[int] = set()
    for place in places:
        operation, *arguments = graph.nodes[place]
        if (operation == "leaf" and arguments[0][0] == "d") or found.intersection(graph.arguments(place)):
            found.add(place)
    return found
