"""A pointwise jaxpr as a graph of operations on the numbers of one unit.

An array `[..., n*h]` is seen as n blocks of h units, and a block is one node. Arrays are sliced, split, joined and
reshaped by block; elementwise operations make new nodes; and equal nodes are merged.
"""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

# Operations in C++, on the vectors {0}, {1}, {2}; see kernels/vectors.h.
CHEAP = {
    "abs": "abs_({0})",
    "add": "{0} + {1}",
    "and": "{0} & {1}",
    "clamp": "least(greatest({1}, {0}), {2})",
    "copy": "{0}",
    "eq": "{0} == {1}",
    "ge": "{0} >= {1}",
    "gt": "{0} > {1}",
    "is_finite": "abs_({0}) < __builtin_inff()",
    "le": "{0} <= {1}",
    "lt": "{0} < {1}",
    "max": "greatest({0}, {1})",
    "min": "least({0}, {1})",
    "mul": "{0} * {1}",
    "ne": "{0} != {1}",
    "neg": "-{0}",
    "not": "~{0}",
    "number": "({0} ? all(1.0f) : Vec{{}})",
    "one_minus_square": "1.0f - {0} * {0}",
    "or": "{0} | {1}",
    "select_n": "({0} ? {2} : {1})",
    "sign": "sign_({0})",
    "square": "{0} * {0}",
    "sub": "{0} - {1}",
}
# Operations that cost more than writing their result and reading it again.
DEAR = {
    "cos": "each(cosf, {0})",
    "div": "{0} / {1}",
    "erf": "each(erff, {0})",
    "exp": "exp_({0})",
    "expm1": "each(expm1f, {0})",
    "log": "log_({0})",
    "log1p": "log1p_({0})",
    "logistic": "tanh_({0} * 0.5f) * 0.5f + 0.5f",
    "pow": "each(powf, {0}, {1})",
    "rsqrt": "1.0f / each(sqrtf, {0})",
    "sin": "each(sinf, {0})",
    "sqrt": "each(sqrtf, {0})",
    "tan": "each(tanf, {0})",
    "tanh": "tanh_({0})",
}
FORMS = CHEAP | DEAR
TRUTHS = {"and", "eq", "ge", "gt", "is_finite", "le", "lt", "ne", "not", "or"}  # with boolean results
SAME = {"add_any": "add"}
BODIES = ("jaxpr", "call_jaxpr", "fun_jaxpr")  # parameters that hold the body of an operation
SUMMED = ("add", "neg", "sub")  # operations that commute with a sum over units


class NoLoops(Exception):  # noqa: N818, no error: the same runs in JAX
    """A cell has no compiled loops; the message says why."""


class Value(NamedTuple):
    """An array as nodes: `[*leading, blocks]`, or `[]` for one number that all units share.

    partial: the number is the sum over units of these nodes.
    """

    nodes: np.ndarray
    partial: bool = False


class Graph:
    """Nodes `(operation, *arguments)`, each after its arguments, without duplicates."""

    def __init__(self) -> None:
        self.nodes: list[tuple] = []
        self._places: dict[tuple, int] = {}

    def add(self, operation: str, *arguments: Any) -> int:
        """Return the place of a node. Arguments are places, except for a leaf (its name) and a constant (its value)."""
        if operation == "add":  # gradients that are assembled by padding add zeros
            zeros = [place for place in arguments if self.nodes[place] == ("constant", 0.0)]
            if zeros:
                return arguments[1] if arguments[0] == zeros[0] else arguments[0]
        node = (operation, *arguments)
        if node not in self._places:
            self._places[node] = len(self.nodes)
            self.nodes.append(node)
        return self._places[node]

    def leaf(self, name: tuple[str, int], shape: tuple[int, ...], units: int) -> Value:
        """Return an argument as leaves, one per block. Raises NoLoops where its shape is not made of blocks."""
        blocks = np.zeros(_in_blocks(shape, units, name[0]), int)
        places = [self.add("leaf", name, i) for i in range(blocks.size)]
        return Value(np.array(places, int).reshape(blocks.shape))

    def arguments(self, place: int) -> tuple[int, ...]:
        """Return the places that a node reads."""
        operation, *arguments = self.nodes[place]
        return () if operation in ("leaf", "constant", "truth") else tuple(arguments)

    def reached(self, places: Iterable[int], stop: Callable[[int], bool] = lambda place: False) -> list[int]:
        """Return these nodes and all that they depend on, in order, without following those where `stop` is True."""
        found, left = set(), list(places)
        while left:
            place = left.pop()
            if place not in found:
                found.add(place)
                left += () if stop(place) else self.arguments(place)
        return sorted(found)


def read(
    graph: Graph, closed: ClosedJaxpr, inputs: Sequence[Callable[[], Value]], units: int, wanted: Sequence[int]
) -> list[Value]:
    """Add outputs of a jaxpr, by number, to a graph; inputs are only read where these depend on them.

    Raises NoLoops where an operation is not pointwise, or is not in FORMS.
    """
    jaxpr = closed.jaxpr
    consts: list[Callable] = [functools.partial(_constant, graph, const, units) for const in closed.consts]
    givers = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *inputs), strict=True))
    return _Reader(graph, units).run(jaxpr, givers, [jaxpr.outvars[i] for i in wanted])


class _Reader:
    def __init__(self, graph: Graph, units: int):
        self.graph, self.units = graph, units

    def run(self, jaxpr: Jaxpr, givers: Mapping[Any, Callable[[], Value]], wanted: Sequence[Any]) -> list[Value]:
        known: dict[Any, Value] = {}

        def value(var):
            if isinstance(var, Literal):
                return _constant(self.graph, np.asarray(var.val, getattr(var.aval, "dtype", None)), self.units)
            if var not in known:
                known[var] = givers[var]()
            return known[var]

        live = _live(jaxpr, wanted)
        for equation in jaxpr.eqns:
            if live.intersection(equation.outvars):
                outs = self._equation(equation, [value(var) for var in equation.invars])
                known.update(zip(equation.outvars, outs, strict=True))
        return [value(var) for var in wanted]

    def _equation(self, equation: Any, given: list[Value]) -> list[Value]:
        name, params = equation.primitive.name, equation.params
        body = next((params[key] for key in BODIES if key in params), None)
        if body is not None and name not in ("while", "scan", "cond"):
            inner, consts = (body.jaxpr, body.consts) if isinstance(body, ClosedJaxpr) else (body, ())
            values = [*(_constant(self.graph, c, self.units) for c in consts), *given]
            names = (*inner.constvars, *inner.invars)
            givers = {var: functools.partial(lambda v: v, v) for var, v in zip(names, values, strict=True)}
            return self.run(inner, givers, inner.outvars)
        shapes = [var.aval.shape for var in equation.outvars]
        if name in _MOVES:
            if any(value.partial for value in given):
                raise NoLoops(f"{name} of a sum over units")
            return _MOVES[name](self, params, given, [var.aval for var in equation.invars], shapes)
        return [self._elementwise(equation, SAME.get(name, name), given)]

    def _elementwise(self, equation: Any, name: str, given: list[Value]) -> Value:
        kinds = [var.aval.dtype for var in (*equation.invars, *equation.outvars)]
        if name == "integer_pow":
            return self._power(given[0], equation.params["y"])
        if name == "convert_element_type":
            # The only integers are constants: no operation on others is supported.
            if kinds[0] == kinds[1] or (np.issubdtype(kinds[0], np.integer) and kinds[1] == np.float32):
                return given[0]
            name = "number" if (kinds[0], kinds[1]) == (np.bool_, np.float32) else name
        if name not in FORMS:
            raise NoLoops(f"the primitive {name} is not known to the compiled loops")
        if any(kind not in (np.bool_, np.float32) for kind in kinds):
            raise NoLoops(f"{name} of {', '.join(str(kind) for kind in kinds[:-1])}")
        if name == "select_n" and len(given) != 3:
            raise NoLoops("select_n of more than two cases")
        partial = any(value.partial for value in given)
        if partial and not _stays_a_sum(name, given):
            raise NoLoops(f"{name} of a sum over units")
        return Value(self._nodes(name, *(value.nodes for value in given)), partial)

    def _nodes(self, name: str, *given: np.ndarray) -> np.ndarray:
        together = np.broadcast_arrays(*given)
        places = [self.graph.add(name, *map(int, row)) for row in zip(*(x.flat for x in together), strict=True)]
        return np.array(places, int).reshape(together[0].shape)

    def _power(self, base: Value, exponent: int) -> Value:
        """Raise to a whole power by repeated squaring."""
        result, square = None, base.nodes
        for digit in reversed(bin(abs(exponent))[2:]):
            if digit == "1":
                result = square if result is None else self._nodes("mul", result, square)
            square = self._nodes("mul", square, square)
        one = np.array(self.graph.add("constant", 1.0))
        found = one if result is None else result
        return Value(found if exponent > 0 else self._nodes("div", one, found))


def _live(jaxpr: Jaxpr, wanted: Sequence[Any]) -> set:
    """Return these variables and all that they depend on."""
    live = {var for var in wanted if not isinstance(var, Literal)}
    for equation in reversed(jaxpr.eqns):
        if live.intersection(equation.outvars):
            live.update(var for var in equation.invars if not isinstance(var, Literal))
    return live


def _stays_a_sum(name: str, given: list[Value]) -> bool:
    """Return True if the operation commutes with the sum over units."""
    if name in SUMMED:
        return all(value.partial for value in given)
    numbers = [value for value in given if not value.partial]
    plain = all(value.nodes.ndim == 0 for value in numbers)
    return plain and len(numbers) == 1 and (name == "mul" or (name == "div" and given[0].partial))


def _constant(graph: Graph, array: Any, units: int) -> Value:
    array = np.asarray(array)
    whole = np.issubdtype(array.dtype, np.integer)
    if not (whole or array.dtype in (np.bool_, np.float32)) or not array.size:
        raise NoLoops(f"a constant of {array.dtype}")
    first = array.flat[0]
    if not np.all((array == first) | ((array != array) & (first != first))):
        raise NoLoops("a constant array of different numbers, which could be a parameter")
    blocks = np.zeros(_in_blocks(array.shape, units, "a constant"), int)
    kind = "truth" if array.dtype == np.bool_ else "constant"
    return Value(np.full(blocks.shape, graph.add(kind, float(first) if whole else first.item())))


def _in_blocks(shape: Sequence[int], units: int, what: str) -> tuple[int, ...]:
    """Return the shape of an array's nodes."""
    if not shape:
        return ()
    if shape[-1] % units:
        raise NoLoops(f"{what} of shape {list(shape)} is not made of blocks of {units} units")
    return (*shape[:-1], shape[-1] // units)


# Operations that rearrange arrays: (reader, params, values, avals, shapes of the results) -> values.


def _whole(reader: _Reader, numbers: Sequence[int], ndim: int, what: str) -> tuple[int, ...]:
    """Return positions along all axes, counted in blocks on the last."""
    if ndim and numbers[-1] % reader.units:
        raise NoLoops(f"{what} within a block of units")
    return (*numbers[:-1], numbers[-1] // reader.units) if ndim else tuple(numbers)


def _slice(reader, params, given, avals, shapes):
    ndim = avals[0].ndim
    if params["strides"] is not None and set(params["strides"]) != {1}:
        raise NoLoops("a slice with strides")
    starts = _whole(reader, params["start_indices"], ndim, "a slice")
    ends = _whole(reader, params["limit_indices"], ndim, "a slice")
    return [Value(given[0].nodes[tuple(map(slice, starts, ends))])]


def _split(reader, params, given, avals, shapes):
    axis, ndim = params["axis"], avals[0].ndim
    sizes = [int(size) for size in params["sizes"]]
    if axis == ndim - 1:
        sizes = [_whole(reader, [size], 1, "a split")[0] for size in sizes]
    return [Value(part) for part in np.split(given[0].nodes, np.cumsum(sizes)[:-1], axis)]


def _concatenate(reader, params, given, avals, shapes):
    return [Value(np.concatenate([value.nodes for value in given], params["dimension"]))]


def _stack(reader, params, given, avals, shapes):
    if params["axis"] == avals[0].ndim:
        raise NoLoops("a stack of single units")
    return [Value(np.stack([value.nodes for value in given], params["axis"]))]


def _unstack(reader, params, given, avals, shapes):
    if params["axis"] == avals[0].ndim - 1:
        raise NoLoops("single units taken apart")
    return [Value(part) for part in np.moveaxis(given[0].nodes, params["axis"], 0)]


def _pad(reader, params, given, avals, shapes):
    config = params["padding_config"]
    if any(inner or low < 0 or high < 0 for low, high, inner in config):
        raise NoLoops("a pad that leaves gaps or cuts")
    low = _whole(reader, [int(c[0]) for c in config], len(config), "a pad")
    high = _whole(reader, [int(c[1]) for c in config], len(config), "a pad")
    around = list(zip(low, high, strict=True))
    return [Value(np.pad(given[0].nodes, around, constant_values=int(given[1].nodes)))]


def _reshape(reader, params, given, avals, shapes):
    if bool(avals[0].shape) != bool(shapes[0]) and given[0].nodes.size != 1:
        raise NoLoops("a reshape of one number")
    return [Value(given[0].nodes.reshape(_in_blocks(shapes[0], reader.units, "what is reshaped")))]


def _broadcast(reader, params, given, avals, shapes):
    shape = _in_blocks(shapes[0], reader.units, "what is broadcast")
    nodes, axes, ndim = given[0].nodes, params["broadcast_dimensions"], len(shape)
    if nodes.ndim and (axes[-1] != ndim - 1 or avals[0].shape[-1] != shapes[0][-1]):
        raise NoLoops("a broadcast from one unit to others")
    places = [nodes.shape[axes.index(axis)] if axis in axes else 1 for axis in range(ndim)]
    return [Value(np.broadcast_to(nodes.reshape(places), shape))]


def _transpose(reader, params, given, avals, shapes):
    if avals[0].ndim and params["permutation"][-1] != avals[0].ndim - 1:
        raise NoLoops("a transpose of units")
    return [Value(given[0].nodes.transpose(params["permutation"]))]


def _sum(reader, params, given, avals, shapes):
    axes, nodes = params["axes"], given[0].nodes
    over_units = avals[0].ndim - 1 in axes
    if over_units and len(axes) != avals[0].ndim:
        raise NoLoops("a sum over units")
    rest = tuple(axis for axis in range(nodes.ndim) if axis not in axes)
    moved = nodes.transpose(axes + rest).reshape(-1, *(nodes.shape[axis] for axis in rest))
    total = moved[0]
    for part in moved[1:]:
        total = reader._nodes("add", total, part)
    return [Value(total, over_units)]


_MOVES: dict[str, Callable] = {
    "broadcast_in_dim": _broadcast,
    "concatenate": _concatenate,
    "expand_dims": _reshape,
    "pad": _pad,
    "reduce_sum": _sum,
    "reshape": _reshape,
    "slice": _slice,
    "split": _split,
    "squeeze": _reshape,
    "stack": _stack,
    "transpose": _transpose,
    "unstack": _unstack,
}
