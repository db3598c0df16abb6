"""The unit of its layer that each parameter reaches within one step, found from the step alone.

Gradients are pulled back from half of the units at a time, once for each bit of a unit's number and once for its
opposite. A parameter that reaches one unit shows in one half of every pair; one that reaches several shows in both.
What is zero is so exactly, as no number is added that the chain rule does not have.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.cells import Cell
from rnngen.engines import cast_params, trees
from rnngen.engines.steps import StepInput, full_step, project
from rnngen.models import Model
from rnngen.registry import LRUCache
from rnngen.rules.local import Local, Stepping, layers_of, layerwise
from rnngen.rules.reals import from_reals, to_reals
from rnngen.types import Array, PyTree, at_least_float32, named

EXAMPLES, STEPS = 32, 3


class Units(NamedTuple):
    """Where the parameters of a model's layers reach their carries.

    Attributes:
      theta: the parameters that reach a carry of their own layer, by their places among the prepared leaves.
      layer: of each of them, its layer's place.
      unit: of each entry of each of them, the unit, as an array that broadcasts to the parameter.
      leaves: of each layer, the places of its carry's real arrays.
    """

    theta: tuple[int, ...]
    layer: tuple[int, ...]
    unit: tuple[np.ndarray, ...]
    leaves: tuple[tuple[int, ...], ...]


class ManyUnitsError(ValueError):
    """A parameter, or a unit, reaches several units of a layer at once."""


_FOUND = LRUCache(32)


def find_units(model: Stepping, local: Local, xs: PyTree) -> Units:
    """Find the unit that each parameter reaches.

    Args:
      model: a model of layers, or a cell.
      local: the step of each layer, see `layerwise`.
      xs: inputs `[t, *b, d]`, or their shapes.

    Returns:
      The units.

    Raises:
      ManyUnitsError: a parameter, or a unit of the carry, reaches more than one.
    """
    shapes = tuple((x.shape[-1:] if _floats(x) else (), x.dtype) for x in jax.tree.leaves(xs))
    return _FOUND.get((model, local, shapes), lambda: _find(model, local, xs))


def _find(model: Stepping, local: Local, xs: PyTree) -> Units:
    cell, names = layerwise(model, local), list(layers_of(model))
    with jax.ensure_compile_time_eval():
        inputs = _inputs(model, xs)
        params = _noisy(cell, inputs)
        tails, structure = _tails(cell, params)
        masks = _halves(max(int(np.prod(tail)) for tail in tails))
        reached, seen = jax.device_get(jax.jit(lambda p, x: _reached(cell, p, x, tails, masks))(params, inputs))
        prepared = jax.eval_shape(cell.prepare, params)
    _check_carry(names, structure, tails, masks, seen)
    theta, layer, units = [], [], []
    for place, ((name, _), (ones, zeros)) in enumerate(zip(named(prepared), reached, strict=True)):
        own = [n for n, known in enumerate(names) if not known or name.startswith(f"{known}/")]
        if own and (ones | zeros).any():
            theta.append(place)
            layer.append(own[0])
            units.append(_unit(name, ones, zeros))
    leaves = tuple(tuple(n for n, of in enumerate(structure) if not known or of == known) for known in names)
    return Units(tuple(theta), tuple(layer), tuple(units), leaves)


def _floats(x: Any) -> bool:
    return jnp.issubdtype(x.dtype, jnp.floating)


def _inputs(model: Stepping, xs: PyTree) -> PyTree:
    """Draw inputs of some steps, `[STEPS, EXAMPLES, ...]`."""
    key = jax.random.key(7)

    def draw(x):
        if _floats(x):
            dtype = at_least_float32(jnp.zeros((), x.dtype)).dtype
            return jax.random.normal(key, (STEPS, EXAMPLES, *x.shape[-1:]), dtype)
        most = model.input_spec.dim if isinstance(model, Model) else 2
        return jax.random.randint(key, (STEPS, EXAMPLES), 0, most, x.dtype)

    return jax.tree.map(draw, xs)


def _noisy(cell: Cell, inputs: PyTree) -> PyTree:
    """Draw parameters near those of `init`, none of which is 0; as wide as the inputs."""
    params = cell.init(jax.random.key(0), jax.tree.leaves(inputs)[0].shape[-1])
    double = any(x.dtype == jnp.float64 for x in jax.tree.leaves(inputs))
    leaves, tree = jax.tree.flatten(jax.tree.map(lambda x: x.astype(jnp.float64) if double else x, params))
    keys = jax.random.split(jax.random.key(1), len(leaves))
    noise = [0.1 * jax.random.normal(k, x.shape, x.dtype) for k, x in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(tree, [x + n for x, n in zip(leaves, noise, strict=True)])


def _tails(cell: Cell, params: PyTree) -> tuple[tuple[tuple[int, ...], ...], list[str]]:
    """Return the shapes of the carry's real arrays, and the layer of each."""
    carry = jax.eval_shape(lambda p: cell.init_carry(cell.prepare(p), ()), params)
    tails, layers = [], []
    for name, leaf in named(carry):
        parts = len(jax.eval_shape(to_reals, leaf))
        tails += [leaf.shape] * parts
        layers += [name.split("/")[0]] * parts
    return tuple(tails), layers


def _halves(units: int) -> np.ndarray:
    """Return bool `[2, bits, units]`: the units whose number has the bit, and those whose number has not."""
    bits = np.arange(max(1, (units - 1).bit_length()))[:, None]
    having = (np.arange(units) >> bits & 1).astype(bool)
    return np.stack([having, ~having])


def _reached(cell: Cell, params: PyTree, inputs: PyTree, tails, masks: np.ndarray):
    """Return, for each half, which parameters and which units of the carry have a gradient."""
    prepared, step = cast_params(cell.prepare(params), inputs), full_step(cell)
    first, last = (StepInput(jax.tree.map(lambda x: x[at], inputs)) for at in (slice(-1), -1))  # noqa: B023
    run = lambda carry, now: step(prepared, carry, project(cell, prepared, now))  # noqa: E731
    carry, _ = jax.lax.scan(run, cell.init_carry(prepared, (EXAMPLES,)), first)

    def moved(p, parts):
        return to_reals(step(p, from_reals(parts, carry), project(cell, p, last))[0])

    _, pull = trees.vjp(moved, prepared, to_reals(carry))
    _, pull_start = trees.vjp(lambda p: to_reals(cell.init_carry(p, (EXAMPLES,))), prepared)
    keys = jax.random.split(jax.random.key(2), len(tails))

    def nonzero(half: Array):
        given = [
            jax.random.uniform(key, (EXAMPLES, *tail), x.dtype, 0.5, 1.5) * half[: x[0].size].reshape(tail)
            for key, tail, x in zip(keys, tails, to_reals(carry), strict=True)
        ]
        (dparams, dcarry), (dstart,) = pull(given), pull_start(given)
        either = jax.tree.map(lambda a, b: (a != 0) | (b != 0), dparams, dstart)
        return jax.tree.leaves(either), [(d != 0).any(axis=0).reshape(-1) for d in dcarry]

    halves = jnp.asarray(masks.reshape(-1, masks.shape[-1]), to_reals(carry)[0].dtype)
    found, seen = jax.lax.map(nonzero, halves)
    bits = masks.shape[1]
    return [(x[:bits], x[bits:]) for x in found], seen


def _check_carry(names, structure, tails, masks: np.ndarray, seen) -> None:
    """Raise ManyUnitsError where a unit of the carry gives another one something, or the arrays differ in size."""
    flat = masks.reshape(-1, masks.shape[-1])
    for known in names:
        sizes = {int(np.prod(tail)) for tail, of in zip(tails, structure, strict=True) if not known or of == known}
        if len(sizes) > 1:
            raise ManyUnitsError("the parts of a layer's carry differ in size, so that it has no units")
    if any((found & ~flat[:, : found.shape[1]]).any() for found in seen):
        raise ManyUnitsError(
            "a unit of a layer's carry reaches other units by more than `hidden(carry) @ recurrent_kernel`"
        )


def _unit(name: str, ones: np.ndarray, zeros: np.ndarray) -> np.ndarray:
    """Return the unit of each entry, as small as it broadcasts; entries that reach none have any."""
    if (ones & zeros).any():
        raise ManyUnitsError(f"the parameter {name} reaches many units in one step")
    unit = sum(bit.astype(np.int32) << n for n, bit in enumerate(ones))
    reaches = (ones | zeros).any(axis=0)
    if unit.ndim < 2:
        return np.asarray(unit)
    column = np.where(reaches, unit, 0).max(axis=tuple(range(unit.ndim - 1)), keepdims=True)
    return column if ((unit == column) | ~reaches).all() else np.where(reaches, unit, 0)
