"""Floating-point operations of a traced function, counted from its equations."""

import math
from typing import Any

import jax.numpy as jnp
from jax.extend.core import Jaxpr, jaxprs_in_params

# Equations that move, choose or relabel numbers, and compute none.
MOVING = {
    "bitcast_convert_type", "broadcast_in_dim", "complex", "concatenate", "convert_element_type", "copy", "device_put",
    "dynamic_slice", "dynamic_update_slice", "expand_dims", "gather", "imag", "iota", "optimization_barrier", "pad",
    "real", "reshape", "rev", "scatter", "select_n", "sharding_constraint", "slice", "sort", "split", "squeeze",
    "stop_gradient", "transpose",
}  # fmt: skip
COMPLEX = 4  # real operations of a complex one: a product has four, and two sums


def count_flops(jaxpr: Jaxpr) -> int:
    """Count the floating-point operations of a jaxpr.

    A product of matrices `[m, k]` and `[k, n]` has `2 m k n`; any other equation one for each number that it makes, or
    of a reduction takes, an exponential as well as a sum; moving numbers has none. A complex operation counts as four.
    A scan counts its body once a step, a loop of unknown length once, and of branches the dearest one counts.

    Args:
      jaxpr: of the function, as `jax.make_jaxpr` gives it.

    Returns:
      The number.
    """
    return sum(map(_of_equation, jaxpr.eqns))


def _of_equation(equation: Any) -> int:
    name, params = equation.primitive.name, equation.params
    made, given = ([var.aval for var in side] for side in (equation.outvars, equation.invars))
    # The function within a scatter is of two numbers, for each that goes to a place of the first array.
    inner = [] if name.startswith("scatter") else [count_flops(part) for part in jaxprs_in_params(params)]
    if inner:
        times = {"scan": params.get("length", 1), "shard_map": _devices(params)}.get(name, 1)
        return max(inner) if name == "cond" else times * sum(inner)
    if name in MOVING or not made or not jnp.issubdtype(made[0].dtype, jnp.inexact):
        return 0
    factor = COMPLEX if jnp.issubdtype(made[0].dtype, jnp.complexfloating) else 1
    if name.startswith("scatter"):
        return factor * given[-1].size
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        return factor * 2 * made[0].size * math.prod(given[0].shape[axis] for axis in contracted)
    if name == "conv_general_dilated":
        features = given[1].shape[params["dimension_numbers"].rhs_spec[0]]
        return factor * 2 * made[0].size * given[1].size // features
    return factor * (given[0].size if name.startswith("reduce") else sum(aval.size for aval in made))


def _devices(params: dict[str, Any]) -> int:
    """Return by how many devices a body is run, each with its part."""
    return getattr(params.get("mesh"), "size", 1)
