"""Checks of engines and of long sequences: every engine that a cell's structure allows agrees with `scan`."""

from typing import Any

import jax
import jax.numpy as jnp

from rnngen.cells import Affine, Cell, Gated
from rnngen.engines import unroll
from rnngen.testing.case import Broken, Case, Sizes, quick_jit, same

LONG = 1000


def allowed(cell: Cell) -> dict[str, Any]:
    """Return the engines for `unroll` that a cell's structure allows, by name, besides `scan`."""
    engines: dict[str, Any] = {
        "scan (remat)": {"name": "scan", "kwargs": {"remat": True}},
        "fused": {"name": "fused", "kwargs": {"chunk": 4, "by_hand": False}},
    }
    if isinstance(cell.structure, Gated) and cell.structure.backward is not None:
        engines["fused (handwritten)"] = {"name": "fused", "kwargs": {"chunk": 4}}
    if isinstance(cell.structure, Affine):
        engines["associative"] = {"name": "associative", "kwargs": {"chunk": 4, "block": 2}}
    if not refusal(cell):
        engines["newton"] = {"name": "newton", "kwargs": {"tolerance": 1e-12}}
    return engines


def refusal(cell: Cell) -> str:
    """Return the reason why `newton` refuses a cell, or ""."""
    case = Case(cell, Sizes(2, (), 1))
    try:
        jax.eval_shape(lambda p, x: unroll(cell, p, x, engine="newton"), case.params, case.xs)
    except ValueError as error:
        return str(error)
    return ""


def engines(case: Case) -> None:
    """Every engine that the structure allows returns scan's values and gradients."""
    expected = _value_and_gradients(case, "scan")
    for name, engine in allowed(case.cell).items():
        for what, one, other in zip(_PARTS, _value_and_gradients(case, engine), expected, strict=True):
            same(f"engine {name}: {what}", one, other)


_PARTS = ("ys", "the last carry", "dloss/dparams", "dloss/dxs", "dloss/dcarry")


def _value_and_gradients(case: Case, engine: Any):
    there = case.for_all(jnp.arange(case.sizes.steps) % 3 != 1)

    def loss(params, xs, start):
        carry, ys = unroll(case.cell, params, xs, start, mask=there, engine=engine)
        real = [leaf for leaf in jax.tree.leaves(carry) if jnp.issubdtype(leaf.dtype, jnp.floating)]
        return jnp.sum(jnp.sin(ys)) + sum(jnp.sum(jnp.cos(leaf)) for leaf in real), (ys, carry)

    start = case.at_a_step()[1]
    run = quick_jit(jax.value_and_grad(loss, (0, 1, 2), has_aux=True, allow_int=True))
    (_, found), (dparams, dxs, dstart) = run(case.params, case.xs, start)
    return *found, dparams, dxs, [d for d in jax.tree.leaves(dstart) if d.dtype != jax.dtypes.float0]


def long(case: Case) -> None:
    """Values and gradients are finite after a thousand steps, with parameters as init gives them."""
    with jax.enable_x64(False):
        params = case.cell.init(jax.random.key(0), case.sizes.features)
        xs = jax.random.normal(jax.random.key(1), (LONG, *case.xs.shape[1:]))

        def loss(params, start, xs):
            ys = unroll(case.cell, params, xs, start, engine="scan")[1]
            return jnp.mean(ys**2), ys

        start = case.cell.init_carry(case.cell.prepare(params), case.sizes.batch)
        run = quick_jit(jax.value_and_grad(loss, (0, 1), has_aux=True, allow_int=True))
        (_, ys), gradients = run(params, start, xs)
        wrong = ~jnp.isfinite(ys).reshape(LONG, -1).all(axis=1)
        if wrong.any():
            raise Broken(f"ys are not finite from step {int(jnp.argmax(wrong))} on")
        for what, gradient in zip(("params", "carry"), gradients, strict=True):
            for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
                if leaf.dtype != jax.dtypes.float0 and not bool(jnp.isfinite(leaf).all()):
                    raise Broken(f"the gradient of mean(ys^2) in {what}{jax.tree_util.keystr(path)} is not finite")
