"""Checks of the arguments of `unroll`; each error names the argument, the axis, and what was expected, in one line."""

import contextlib
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.cells import Cell
from rnngen.types import Array, Carry, Key, Params, PyTree


def check_arrays(**trees: PyTree) -> None:
    """Raise ValueError naming the first argument with a leaf that is not an array, or xs if it has no leaves."""
    for name, tree in trees.items():
        for leaf in jax.tree.leaves(tree):
            if not hasattr(leaf, "dtype"):
                raise ValueError(f"{name}: expected arrays, got {_kind(tree)}")
    if not jax.tree.leaves(trees["xs"]):
        raise ValueError(f"xs: expected arrays with leading axes t, *b, got {_kind(trees['xs'])}")


def _kind(tree: PyTree) -> str:
    return "None" if tree is None else f"a {type(tree).__name__}"


@contextlib.contextmanager
def only_reverse() -> Iterator[None]:
    """Explain JAX's error where forward-mode derivatives, as in `jax.hessian`, are taken of an engine without them."""
    try:
        yield
    except TypeError as error:
        if "custom_vjp" not in str(error):
            raise
        raise ValueError(
            "this engine has reverse-mode derivatives only, and jax.jvp, jacfwd and hessian ask for others: take "
            'engine="scan", or jax.jacrev(jax.grad(...)) for second derivatives'
        ) from error


def check_inputs(xs, first: Carry, carry: Carry, mask, resets, probes) -> None:
    """Raise ValueError unless mask, resets and probes fit xs, and the carry fits the cell's initial one."""
    steps = _steps(xs)
    for name, flags in (("mask", mask), ("resets", resets)):
        if flags is not None:
            _check_flags(name, flags, xs, steps)
    if mask is not None and resets is not None:
        _check_shape("resets", resets.shape, mask.shape, "tb")
    check_like("carry", carry, first)
    if probes is not None:
        with_time = jax.tree.map(lambda c: jax.ShapeDtypeStruct((steps, *c.shape), c.dtype), first)
        check_like("probes", probes, with_time, time=True)


def _steps(xs: PyTree) -> int:
    lengths = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(xs)}
    if len(lengths) != 1 or lengths == {()}:
        raise ValueError(f"xs: expected arrays with one leading axis t, got lengths {sorted(lengths)}")
    return lengths.pop()[0]


def _check_flags(name: str, flags: Array, xs: PyTree, steps: int) -> None:
    if flags.dtype != jnp.bool_:
        raise ValueError(f"{name}: expected booleans, got {flags.dtype}")
    if flags.shape[:1] != (steps,):
        raise ValueError(f"{name}: axis t: expected {steps} as in xs, got {flags.shape[0] if flags.ndim else 'none'}")
    for leaf in jax.tree.leaves(xs):
        if leaf.shape[: flags.ndim] != flags.shape:
            _check_shape(name, flags.shape, leaf.shape[: max(flags.ndim, leaf.ndim - 1)], "tb")


def check_like(name: str, tree: PyTree, expected: PyTree, time: bool = False) -> None:
    """Raise ValueError unless `tree` has the structure, shapes and dtypes of `expected`."""
    wanted, got = str(jax.tree.structure(expected)), str(jax.tree.structure(tree))
    if got != wanted:
        raise ValueError(f"{name}: expected the structure {wanted}, got {got}")
    paths = jax.tree_util.tree_leaves_with_path(tree)
    for (path, leaf), like in zip(paths, jax.tree.leaves(expected), strict=True):
        place = name + jax.tree_util.keystr(path)
        _check_shape(place, jnp.shape(leaf), like.shape, "t" if time else "")
        if jnp.result_type(leaf) != like.dtype:
            raise ValueError(f"{place}: expected {like.dtype}, got {jnp.result_type(leaf)}")


def _check_shape(name: str, shape: tuple, expected: tuple, letters: str) -> None:
    """Raise ValueError naming the first axis that differs, by its letter where it has one, else by its number."""
    if len(shape) != len(expected):
        raise ValueError(f"{name}: expected {len(expected)} axes, {list(expected)}, got {len(shape)}, {list(shape)}")
    for axis, (size, wanted) in enumerate(zip(shape, expected, strict=True)):
        if size != wanted:
            letter = letters[min(axis, len(letters) - 1)] if letters and (axis == 0 or len(letters) > 1) else str(axis)
            raise ValueError(f"{name}: axis {letter}: expected {wanted}, got {size} (of {list(shape)})")


def check_width(cell: Cell, original: Params, params: Params, xs: PyTree, key: Key | None) -> None:
    """Raise ValueError where `project` fails because the parameters were made for another number of features."""
    # With one axis, xs must be a number per step, not the features of a single step.
    u = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype) if x.ndim == 1 else x, xs)
    try:
        jax.eval_shape(cell.project, params, u, key)
    except (TypeError, ValueError, IndexError) as error:
        wrong = _other_width(cell, original, xs)
        if wrong is None:
            raise
        raise ValueError(wrong) from error


def _other_width(cell: Cell, params: Params, xs: PyTree) -> str | None:
    """Return an error message if the parameters were made for another number of features than xs has, else None."""
    if isinstance(xs, list | tuple) and not hasattr(xs, "_fields"):
        return f"xs: expected one array [t, *b, d], got a {type(xs).__name__} of {len(xs)}; see jnp.stack"
    if not hasattr(xs, "shape"):
        return None
    if xs.ndim < 2:
        return f"xs: expected the axes [t, *b, d], got one, {list(xs.shape)}"
    d = xs.shape[-1]
    made = jax.eval_shape(lambda: cell.init(jax.random.key(0), d))
    try:
        check_like("params", params, made)
    except ValueError as error:
        return f"xs: axis d has {d} features, for which {error}"
    return None
