"""The setting of a check: a cell with parameters and a sequence of some size, and the comparison of results."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.cells import Cell
from rnngen.engines import unroll
from rnngen.engines.checks import check_like
from rnngen.engines.trees import is_float
from rnngen.types import Array, Carry, Params, PyTree

TOLERANCE = 1e-8  # in double precision, where rounding is 1e-16 and real errors are far larger

# Each check compiles programs of its own, for which LLVM's optimisation does not pay. For outermost calls.
quick_jit = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
)


class Broken(Exception):  # noqa: N818
    """A check has failed; the message says why, in one line."""


class Sizes(NamedTuple):
    """The sizes of a sequence `[t, *b, d]`."""

    steps: int
    batch: tuple[int, ...]
    features: int

    def __str__(self):
        return f"t={self.steps}, b={self.batch}, d={self.features}"


USUAL = Sizes(6, (2,), 3)
# Where a check fails, the smallest of these for which it does is reported.
SMALLER = (Sizes(1, (), 1), Sizes(2, (), 1), Sizes(2, (2,), 1), Sizes(4, (2,), 1))


class Case:
    """A cell, its parameters in double precision with no zeros among them, and inputs `[t, *b, d]`.

    Must be made and used within `jax.enable_x64()`.
    """

    def __init__(self, cell: Cell, sizes: Sizes):
        self.cell, self.sizes = cell, sizes
        self.params = _filled(cell, sizes.features)
        self.xs = noise((sizes.steps, *sizes.batch, sizes.features), 1, jnp.float64)

    @functools.cached_property
    def prepared(self) -> Params:
        """Return the parameters as the step sees them."""
        return self.cell.prepare(self.params)

    def run(self, xs: Array | None = None, carry: Carry | None = None, engine: Any = "scan", **options):
        """Call `unroll` with all arguments traced; return (last carry, ys)."""
        call = functools.partial(unroll, self.cell, engine=engine)
        given = {name: value for name, value in options.items() if value is not None}
        return quick_jit(lambda p, x, c, o: call(p, x, c, **o))(
            self.params, self.xs if xs is None else xs, carry, given
        )

    def for_all(self, flags: Any) -> Array:
        """Repeat flags `[t]` for every example, to `[t, *b]`."""
        return jnp.broadcast_to(
            jnp.reshape(flags, (-1, *[1] * len(self.sizes.batch))), (self.sizes.steps, *self.sizes.batch)
        )

    def at_a_step(self) -> tuple[Params, Carry, PyTree]:
        """Return prepared parameters, a carry without zeros and the input of a step."""
        start = self.cell.init_carry(self.prepared, self.sizes.batch)
        carry = jax.tree.map(lambda c: noise(c.shape, 2, c.dtype) if is_float(c) else c, start)
        return self.prepared, carry, self.cell.project(self.prepared, self.xs[0])


def _filled(cell: Cell, features: int) -> Params:
    """Add noise to the parameters of `init`, so that a bias of zero has an effect."""
    with jax.enable_x64(False):  # `init` makes float32, whatever is then used
        leaves, tree = jax.tree.flatten(cell.init(jax.random.key(0), features))
    moved = [leaf.astype(jnp.float64) + 0.1 * noise(leaf.shape, 10 + n, jnp.float64) for n, leaf in enumerate(leaves)]
    return jax.tree.unflatten(tree, moved)


def noise(shape: tuple[int, ...], seed: int = 0, dtype: Any = jnp.float32) -> Array:
    """Draw standard normal numbers in NumPy: JAX would compile a program for every shape."""
    return jnp.asarray(np.random.RandomState(seed).normal(size=shape), dtype)


def same(what: str, got: PyTree, expected: PyTree, tolerance: float = TOLERANCE) -> None:
    """Raise Broken, naming the number that differs most, unless two trees are equal to a tolerance; NaN equals NaN."""
    try:
        check_like(what, got, expected)
    except ValueError as error:
        raise Broken(str(error)) from error
    for (path, one), other in zip(jax.tree_util.tree_leaves_with_path(got), jax.tree.leaves(expected), strict=True):
        one, other = np.asarray(one), np.asarray(other)
        if not one.size:
            continue
        apart = np.abs(one.astype(np.complex128) - other) / (1 + np.abs(other))
        apart = np.where(np.isnan(one) & np.isnan(other), 0, np.where(np.isfinite(apart), apart, np.inf))
        worst = np.unravel_index(np.argmax(apart), apart.shape)
        if apart[worst] > tolerance:
            place = what + jax.tree_util.keystr(path) + (f"[{', '.join(map(str, worst))}]" if worst else "")
            raise Broken(f"{place} is {one[worst]:.6g} instead of {other[worst]:.6g}")
