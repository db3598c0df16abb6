"""Checks of the cell contract: arguments and results of each function. All other checks depend on these."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import jaxprs_in_params

from rnngen.engines import cast_params
from rnngen.engines.checks import check_like
from rnngen.testing.case import Broken, Case, quick_jit, same
from rnngen.types import Carry, Params

BATCHES: tuple[tuple[int, ...], ...] = ((), (2,), (2, 3))


def init(case: Case) -> None:
    """Parameters are a nested dict of float32 arrays under string keys, the same for the same key."""
    with jax.enable_x64(False):
        params = case.cell.init(jax.random.key(0), case.sizes.features)
        again = case.cell.init(jax.random.key(0), case.sizes.features)
        _check_params("params", params)
        same("params, made a second time with the same key,", again, params, 0.0)


def _check_params(place: str, params: Any) -> None:
    if not isinstance(params, dict):
        if not hasattr(params, "dtype"):
            raise Broken(f"{place} is a {type(params).__name__}, not a dict or an array")
        if params.dtype != jnp.float32:
            raise Broken(f"{place} is of {params.dtype}, not float32")
        return
    for name, value in params.items():
        if not isinstance(name, str):
            raise Broken(f"{place} has the key {name!r}, which is no string")
        _check_params(f"{place}[{name!r}]", value)


def init_carry(case: Case) -> None:
    """Its arrays, counters too, start with the batch axes, and otherwise do not depend on them."""
    alone = jax.eval_shape(lambda p: case.cell.init_carry(p, ()), case.prepared)
    for batch in BATCHES:
        carry = jax.eval_shape(lambda p, b=batch: case.cell.init_carry(p, b), case.prepared)
        wanted = jax.tree.map(lambda c, b=batch: jax.ShapeDtypeStruct((*b, *c.shape), c.dtype), alone)
        _like(f"init_carry(params, {batch})", carry, wanted)


def step(case: Case) -> None:
    """The carry keeps its structure, shapes and dtypes, whatever the batch axes."""
    for batch in BATCHES:
        carry, after, _ = _shapes(case, batch, jnp.float64)
        _like(f"with batch axes {batch}, the new carry", after, carry)


def output(case: Case) -> None:
    """The output has output_dim features."""
    for batch in BATCHES:
        y = _shapes(case, batch, jnp.float64)[2]
        wanted = jax.ShapeDtypeStruct((*batch, case.cell.output_dim), jnp.float64)
        if getattr(y, "shape", None) != wanted.shape:
            raise Broken(f"with batch axes {batch}, y is {_shown(y)}, and output_dim says {list(wanted.shape)}")


def dtypes(case: Case) -> None:
    """bfloat16, float32 and float64 go through as they are given, and nothing is computed in less."""
    # Without parameters a cell does not know the dtype before the first step.
    given = (jnp.bfloat16, jnp.float32, jnp.float64) if jax.tree.leaves(case.params) else (jnp.float64,)
    for dtype in given:
        name = jnp.dtype(dtype).name
        carry, after, y = _shapes(case, case.sizes.batch, dtype)
        _like(f"with inputs of {name}, the new carry", after, carry)
        for leaf in jax.tree.leaves(y):
            if leaf.dtype != dtype:
                raise Broken(f"with inputs of {name}, y is of {leaf.dtype}")
    wide = [leaf.dtype for leaf in jax.tree.leaves(case.cell.init_carry(case.prepared, ()))]
    narrow = {d.name for d in wide if jnp.issubdtype(d, jnp.inexact)} - {"float64", "complex128"}
    if narrow:
        raise Broken(f"with parameters of float64, init_carry gives {', '.join(narrow)}: take dtypes from params")
    for place in _casts(case):
        raise Broken(f"with parameters and inputs of float64, {place}")


def pure(case: Case) -> None:
    """A step returns the same for the same arguments, when called again and through jit."""
    given = case.at_a_step()
    first = case.cell.step(*given)
    for _ in range(2):
        same("(carry, y) of the same call made again", case.cell.step(*given), first, 0.0)
    compiled = quick_jit(lambda p, c, u: case.cell.step(p, c, u))
    same("(carry, y) through jit", compiled(*given), first)
    same("(carry, y) after jit", case.cell.step(*given), first, 0.0)


def compiles_once(case: Case) -> None:
    """A step whose carry is fed back to it compiles once."""
    traced = 0

    def counted(params, carry, u):
        nonlocal traced
        traced += 1
        return case.cell.step(params, carry, u)[0]

    run, (params, carry, u) = quick_jit(counted), case.at_a_step()
    carry = case.cell.init_carry(params, case.sizes.batch)
    for _ in range(3):
        carry = run(params, carry, u)
    if traced > 1:
        raise Broken(
            f"three calls were traced {traced} times: a carry's leaf leaves the step with another type than it came "
            "with, such as the weak type of jnp.full(shape, 0.0) without a dtype"
        )


def observe(case: Case) -> None:
    """It returns a dict of arrays that start with the batch axes."""
    seen = jax.eval_shape(case.cell.observe, *case.at_a_step())
    if not isinstance(seen, dict):
        raise Broken(f"it gives a {type(seen).__name__}")
    for name, value in seen.items():
        if not isinstance(name, str) or value.shape[: len(case.sizes.batch)] != case.sizes.batch:
            raise Broken(f"{name!r} is {_shown(value)}, and the batch axes are {list(case.sizes.batch)}")


def _shapes(case: Case, batch: tuple[int, ...], dtype) -> tuple[Carry, Carry, Any]:
    """Return shapes and dtypes of (initial carry, carry after a step, output), with inputs of a dtype."""
    # As in `unroll`, parameters are never narrower than float32 when they are prepared.
    kept = dtype if dtype == jnp.float64 else jnp.float32
    cast = lambda leaf: jax.ShapeDtypeStruct(leaf.shape, kept)  # noqa: E731

    def run(params: Params, x):
        params = cast_params(case.cell.prepare(params), x)
        carry = case.cell.init_carry(params, batch)
        return carry, *case.cell.step(params, carry, case.cell.project(params, x))

    x = jax.ShapeDtypeStruct((*batch, case.sizes.features), dtype)
    return jax.eval_shape(run, jax.tree.map(cast, case.params), x)


def _casts(case: Case) -> Iterator[str]:
    """Describe each cast from double precision to a narrower type."""
    narrow = (jnp.bfloat16, jnp.float16, jnp.float32, jnp.complex64)

    def run(params, carry, x):
        params = case.cell.prepare(params)
        return case.cell.step(params, carry, case.cell.project(params, x))

    carry = case.cell.init_carry(case.prepared, case.sizes.batch)
    for equation in _equations(jax.make_jaxpr(run)(case.params, carry, case.xs[0]).jaxpr):
        came, went = [
            [v.aval.dtype for v in vs if hasattr(v.aval, "dtype")] for vs in (equation.invars, equation.outvars)
        ]
        was_wide = came and jnp.issubdtype(came[0], jnp.inexact) and came[0] not in narrow
        if equation.primitive.name == "convert_element_type" and was_wide and went[0] in narrow:
            yield f"something is cast to {went[0]}"


def _equations(jaxpr: Any) -> Iterator[Any]:
    for equation in jaxpr.eqns:
        yield equation
        for inner in jaxprs_in_params(equation.params):
            yield from _equations(inner)


def _like(what: str, got: Any, wanted: Any) -> None:
    try:
        check_like(what, got, wanted)
    except ValueError as error:
        raise Broken(str(error)) from error


def _shown(value: Any) -> str:
    return f"{value.dtype}{list(value.shape)}" if hasattr(value, "shape") else f"a {type(value).__name__}"
