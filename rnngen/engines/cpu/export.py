"""A layer run in several ways, exported as programs that the timing process can run."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
from jax import export

from rnngen.cells import Cell
from rnngen.engines.steps import StepInput
from rnngen.types import Array, Key, Params

Programs = dict[str, tuple[bytearray, ...]]  # by way: a layer's forward pass, and its gradient of mean(ys^2)
INPUTS = "inputs"  # beside the ways: the program that makes their parameters and xs
FEATURES = 2  # of the input
# t, b: small, so that timing takes seconds, with enough steps that packing the weights, once a call, does not count.
SIZES = {"small": (32, 64), "large": (24, 32)}
LARGE = 256  # units from which a layer is large: a core's own cache no longer holds its weights


def programs(cell: Cell, engines: Mapping[str, Callable], calls: Sequence[str], *features: int) -> Programs:
    """Export a layer of this cell, a function of (params, xs), for each way.

    Args:
      calls: names of the foreign calls that the programs may contain.
      features: of the input: the first of these that the cell takes.
    """
    # In its own thread, since the caller may be tracing another program, with another mesh and precision.
    with ThreadPoolExecutor(1) as alone:
        return alone.submit(_programs, cell, engines, calls, features).result()


def _programs(cell: Cell, engines: Mapping[str, Callable], calls: Sequence[str], widths: Sequence[int]) -> Programs:
    t, b = SIZES["large" if cell.output_dim >= LARGE else "small"]
    checks = [export.DisabledSafetyCheck.custom_call(call) for call in calls]

    def inputs(features: int) -> tuple[Params, Array]:
        keys = jax.random.split(jax.random.key(0), 3)
        params = cell.init(keys[0], features)
        return _shaken(params, keys[1]), jax.random.normal(keys[2], (t, b, features))

    def is_taken(features: int) -> bool:
        with contextlib.suppress(Exception):  # a cell may want as many features as it has units, say
            jax.eval_shape(lambda: inputs(features))
            return True
        return False

    features = next((width for width in widths[:-1] if is_taken(width)), widths[-1])
    given = jax.eval_shape(lambda: inputs(features))

    def exported(program: Callable, *given: Any) -> bytearray:
        return export.export(jax.jit(program), platforms=["cpu"], disabled_checks=checks)(*given).serialize()

    def both(engine: Callable) -> tuple[bytearray, bytearray]:
        def run(params: Params, xs: Array) -> Array:
            prepared = cell.prepare(params)
            return engine(cell, prepared, cell.init_carry(prepared, (b,)), StepInput(xs))[1]

        return exported(run, *given), exported(jax.grad(lambda params, xs: jnp.mean(run(params, xs) ** 2)), *given)

    return {way: both(engine) for way, engine in engines.items()} | {INPUTS: (exported(lambda: inputs(features)),)}


def _shaken(params: Params, key: Key) -> Params:
    """Add a little noise: parameters that start at 0 would hide errors."""
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(key, len(leaves))
    noisy = [x + 0.05 * jax.random.normal(k, x.shape, x.dtype) for x, k in zip(leaves, keys, strict=True)]
    return jax.tree.unflatten(tree, noisy)
