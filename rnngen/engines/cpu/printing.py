"""C++ code of a unit's step: the struct that is the template argument of the loops, see `kernels/slots.h`."""

from collections.abc import Iterable, Mapping

import numpy as np

from rnngen.engines.cpu.pointstep import PARAMETER, PointStep, Slot
from rnngen.engines.cpu.pointwise import FORMS, TRUTHS, NoLoops

TOGETHER = 4  # vectors of sums that a product updates at once


def struct(step: PointStep) -> str:
    """Return the code of `struct Generated`. Raises NoLoops where it would read a value that is not available."""
    slots = list(step.slots.values())
    u, a = ([i for i, slot in enumerate(slots) if getattr(slot, name) is not None] for name in ("u", "a"))
    counts = {
        "SLOTS": len(slots),
        "SUMS": sum(slot.kind != PARAMETER for slot in slots),
        "UF": a[0],
        "UN": len(a),
        "XF": u[0] if u else 0,
        "XN": len(u),
        "U_GATES": step.a_blocks,
        "X_GATES": step.u_blocks,
        "CARRIES": len(step.old) - 1,
        "KEPT": len(step.old) - 1 + len(step.kept),
        "VECTORS": max(1, TOGETHER // max(len(a), len(u))),
    }
    back = _Printed(step, _at_hand_backward(step), [*step.dold, *step.dsums])
    forward = _Printed(step, _at_hand_forward(step), [*step.new, *step.kept])
    reads = {"READS_OLD": step.old[0] in back.read, "READS_NEW": step.new[0] in back.read}
    lines = [
        "#pragma once",
        '#include "slots.h"',
        # Anonymous, since each library that a process loads has its own Generated.
        "namespace {",
        "using namespace rnngen;",
        "struct Generated {",
        f"  static constexpr int {_items(counts)};",
        f"  static constexpr bool {_items({name: str(value).lower() for name, value in reads.items()})};",
        f"  static constexpr int U_GATE[] = {{{_numbers(slot.a for slot in slots)}}};",
        f"  static constexpr int X_GATE[] = {{{_numbers(slot.u for slot in slots)}}};",
        "  static void forward(Slots<const float> sums, Slots<const float> start, const float* h, Slots<float> c,",
        "                      float* h_new, Room room) {",
        *forward.lines,
        *(f"    room.keep({i}, {forward.name(place)});" for i, place in enumerate((*step.new[1:], *step.kept))),
        *(f"    c.set({i}, {forward.name(place)});" for i, place in enumerate(step.new[1:])),
        f"    store(h_new, {forward.name(step.new[0])});",
        "  }",
        "  static void backward(Slots<const float> kept, const float* h, const float* h_new, const Vec* c,",
        "                       Slots<const float> start, float* dh, Slots<float> dc, Slots<float> dz) {",
        *back.lines,
        *(f"    dz.set({i}, {back.name(place)});" for i, place in enumerate(step.dsums)),
        *(f"    dc.set({i}, {back.name(place)});" for i, place in enumerate(step.dold[1:])),
        f"    store(dh, {back.name(step.dold[0])});",
        "  }",
        "};",
        "}  // namespace",
    ]
    return "\n".join(lines) + "\n"


def _at_hand_forward(step: PointStep) -> dict[int, str]:
    """Return the C++ expression of each node that the forward pass is given."""
    carries = ["load(h)", *(f"c[{i}]" for i in range(len(step.old) - 1))]
    slots = {place: f"{'start' if slot.kind == PARAMETER else 'sums'}[{i}]" for i, (place, slot) in _slots(step)}
    return slots | dict(zip(step.old, carries, strict=True))


def _at_hand_backward(step: PointStep) -> dict[int, str]:
    """Return the C++ expression of each node that the backward pass is given."""
    others = range(len(step.old) - 1)
    groups = [
        {place: f"start[{i}]" for i, (place, slot) in _slots(step) if slot.kind == PARAMETER},
        {place: f"kept[{len(others) + i}]" for i, place in enumerate(step.kept)},
        dict(zip(step.new, ["load(h_new)", *(f"kept[{i}]" for i in others)], strict=True)),
        dict(zip(step.old, ["load(h)", *(f"c[{i}]" for i in others)], strict=True)),
        dict(zip(step.d, ["load(dh)", *(f"dc[{i}]" for i in others)], strict=True)),
    ]
    return {place: text for group in groups for place, text in group.items()}


def _slots(step: PointStep) -> Iterable[tuple[int, tuple[int, Slot]]]:
    return enumerate(step.slots.items())


class _Printed:
    """Lines that compute the nodes `wanted` from those `at_hand`. read: the ones of these that they use."""

    def __init__(self, step: PointStep, at_hand: Mapping[int, str], wanted: list[int]):
        self._nodes = step.graph.nodes
        places = step.graph.reached(wanted, at_hand.__contains__)
        self.read = {place for place in places if place in at_hand}
        self.lines = [f"    const {self._type(p)} v{p} = {at_hand.get(p) or self._text(p)};" for p in places]

    def name(self, place: int) -> str:
        return f"v{place}"

    def _type(self, place: int) -> str:
        return "Mask" if self._nodes[place][0] in TRUTHS | {"truth"} else "Vec"

    def _text(self, place: int) -> str:
        operation, *arguments = self._nodes[place]
        if operation == "leaf":
            raise NoLoops("its gradient takes a sum apart again")
        if operation == "constant":
            return f"all({_number(arguments[0])})"
        if operation == "truth":
            return f"Vec{{}} {'==' if arguments[0] else '!='} Vec{{}}"
        return FORMS[operation].format(*map(self.name, arguments))


def _number(value: float) -> str:
    if np.isnan(value):
        return '__builtin_nanf("")'
    if np.isinf(value):
        return f"{'-' if value < 0 else ''}__builtin_inff()"
    return f"{float(str(np.float32(value)))!r}f"


def _items(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in values.items())


def _numbers(values: Iterable[int | None]) -> str:
    return ", ".join(str(value or 0) for value in values)
