"""Flax's recurrent cells as cells of rnngen, and the reverse, for `nnx.RNN` and `linen.RNN`."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen, nnx

from rnngen.cells import Cell
from rnngen.registry import check_arguments, find
from rnngen.types import Array, Carry, Params, check_positive

NNX_CELLS = {name: c for name, c in vars(nnx).items() if isinstance(c, type) and issubclass(c, nnx.RNNCellBase)}
LINEN_CELLS = {name: c for name, c in vars(linen).items() if isinstance(c, type) and issubclass(c, linen.RNNCellBase)}


def nnx_cell(hidden_dim: int, *, cell: str = "LSTMCell", kwargs: dict | None = None) -> Cell:
    """Adapt a cell of `flax.nnx`, by the name of its class.

    It computes in the type of its inputs and parameters (`dtype=None`).

    Args:
      hidden_dim: h, the number of units.
      cell: the name of a class of `flax.nnx`, or `"package.module:Class"`.
      kwargs: the other arguments of the class.

    Returns:
      The cell.

    Raises:
      ValueError: the class or an argument is unknown.
    """
    check_positive(hidden_dim=hidden_dim)
    made, options = find(NNX_CELLS, cell, "nnx cell"), {"dtype": None} | dict(kwargs or {})
    check_arguments(cell, made, kwargs or {})
    return from_nnx(lambda input_dim, rngs: made(input_dim, hidden_dim, **options, rngs=rngs))


def linen_cell(hidden_dim: int, *, cell: str = "LSTMCell", kwargs: dict | None = None) -> Cell:
    """Adapt a cell of `flax.linen`, by the name of its class; see `nnx_cell`.

    Args:
      hidden_dim: h, the number of units.
      cell: the name of a class of `flax.linen`, or `"package.module:Class"`.
      kwargs: the other arguments of the class.

    Returns:
      The cell.

    Raises:
      ValueError: the class or an argument is unknown.
    """
    check_positive(hidden_dim=hidden_dim)
    made, options = find(LINEN_CELLS, cell, "linen cell"), dict(kwargs or {})
    check_arguments(cell, made, options)
    return from_linen(made(features=hidden_dim, **options))


def from_nnx(make: Callable[[int, nnx.Rngs], nnx.RNNCellBase]) -> Cell:
    """Adapt an nnx cell as pure functions of its parameters, each an `nnx.Param`.

    Args:
      make: (input_dim, rngs) -> the nnx cell.

    Returns:
      The cell.

    Raises:
      ValueError: the cell has another kind of state, such as dropout's random numbers.
    """

    @functools.lru_cache(maxsize=16)
    def graph_of(input_dim: int) -> Any:
        """Return a module without its parameters."""
        module = nnx.eval_shape(lambda: make(input_dim, nnx.Rngs(0)))
        parts: Any = nnx.split(module, nnx.Param, ...)
        if jax.tree.leaves(parts[2]):
            raise ValueError(f"{type(module).__name__} has state that is no parameter: {', '.join(parts[2])}")
        return parts[0]

    def init(key, input_dim):
        graph_of(input_dim)
        return nnx.to_pure_dict(nnx.state(make(input_dim, nnx.Rngs(key)), nnx.Param))

    def init_carry(params, batch_shape):
        carry = nnx.merge(graph_of(1), params).initialize_carry((*batch_shape, 1), rngs=nnx.Rngs(0))
        return _typed_as(params, carry)

    def step(params, carry, u):
        return nnx.merge(graph_of(u.shape[-1]), params)(carry, u)

    return Cell(init, init_carry, step, _output_dim(init, init_carry, step))


def from_linen(module: linen.RNNCellBase) -> Cell:
    """Adapt a linen cell as pure functions of its `params`.

    Args:
      module: a linen cell.

    Returns:
      The cell.

    Raises:
      ValueError: the cell has another collection of variables.
    """

    def init(key, input_dim):
        carry = module.initialize_carry(jax.random.key(0), (input_dim,))
        variables = module.init(key, carry, jnp.zeros(input_dim))
        if set(variables) != {"params"}:
            raise ValueError(f"{type(module).__name__} has state that is no parameter: {', '.join(sorted(variables))}")
        return variables["params"]

    def init_carry(params, batch_shape):
        return _typed_as(params, module.initialize_carry(jax.random.key(0), (*batch_shape, 1)))

    def step(params, carry, u):
        return module.apply({"params": params}, carry, u)

    return Cell(init, init_carry, step, _output_dim(init, init_carry, step))


def _typed_as(params: Params, carry: Carry) -> Carry:
    """Cast the carry to the float type of the parameters: Flax makes every initial carry in float32."""
    dtype = jax.tree.leaves(params)[0].dtype
    return jax.tree.map(lambda c: c.astype(dtype) if jnp.issubdtype(c.dtype, jnp.floating) else c, carry)


def _output_dim(init: Callable, init_carry: Callable, step: Callable) -> int:
    """Return the number of features of a step's output."""

    def output():
        params = init(jax.random.key(0), 1)
        return step(params, init_carry(params, ()), jnp.zeros(1))[1]

    return jax.eval_shape(output).shape[-1]


class NnxCell(nnx.RNNCellBase):
    """A rnngen cell for `nnx.RNN`; its parameters are `nnx.Param`s with the names of `init`.

    Args:
      cell: the cell of rnngen.
      in_features: d, the features of an input.
      rngs: of the parameters.
    """

    def __init__(self, cell: Cell, in_features: int, *, rngs: nnx.Rngs):
        self.cell = nnx.static(cell)
        self.params = nnx.data(jax.tree.map(nnx.Param, cell.init(rngs.params(), in_features)))

    def _prepared(self) -> Params:
        return self.cell.prepare(
            jax.tree.map(lambda p: p[...], self.params, is_leaf=lambda p: isinstance(p, nnx.Param))
        )

    def initialize_carry(self, input_shape: tuple[int, ...], rngs: Any = None, carry_init: Any = None) -> Carry:
        """Make the carry, by the cell's `init_carry`.

        Args:
          input_shape: of one step, `[*b, d]`.
          rngs, carry_init: not used; `nnx.RNN` passes them.

        Returns:
          The carry that a sequence starts with.
        """
        return self.cell.init_carry(self._prepared(), input_shape[:-1])

    def __call__(self, carry: Carry, inputs: Array) -> tuple[Carry, Array]:  # type: ignore[override]
        """One step."""
        params = self._prepared()
        return self.cell.step(params, carry, self.cell.project(params, inputs))

    @property
    def num_feature_axes(self) -> int:
        """Return 1, the number of feature axes of an input."""
        return 1


class LinenCell(linen.RNNCellBase):
    """A rnngen cell for `linen.RNN`; its parameters are those of `init`, under `cell`.

    A learned initial carry has to be passed explicitly, since linen asks for it before there are parameters.

    Attributes:
      cell: the cell of rnngen.
    """

    cell: Any

    @linen.compact
    def __call__(self, carry: Carry, inputs: Array) -> tuple[Carry, Array]:
        """One step."""
        params = self.cell.prepare(self.param("cell", self.cell.init, inputs.shape[-1]))
        return self.cell.step(params, carry, self.cell.project(params, inputs))

    @linen.nowrap
    def initialize_carry(self, rng: Any, input_shape: tuple[int, ...]) -> Carry:
        """Make the carry, by the cell's `init_carry`.

        Args:
          rng: draws parameters, which the carry may depend on.
          input_shape: of one step, `[*b, d]`.

        Returns:
          The carry that a sequence starts with.
        """
        params = self.cell.prepare(self.cell.init(rng, input_shape[-1]))
        return self.cell.init_carry(params, input_shape[:-1])

    @property
    def num_feature_axes(self) -> int:
        """Return 1, the number of feature axes of an input."""
        return 1
