"""Changes of the gradient through a carry, which leave the forward pass as it is.

A `Credit` says how the gradient in the carry that enters a step differs from what the chain rule gives. So it sets how
far back a learning signal reaches, with everything else equal. Diagnoses of the dynamics (Jacobians, Lyapunov
exponents) do not see it; those of the gradient do.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnngen.cells.cell import Cell
from rnngen.registry import nearest
from rnngen.types import Array, Carry, Key, Params, PyTree, check_positive, named

Factors = tuple[tuple[str, float], ...]


class Credit(NamedTuple):
    """A change of the gradient in the carry that enters each step. Leaves are named by their path, a single one `h`.

    Attributes:
      scale: (leaf, factor) pairs: the gradient in this leaf is multiplied by the factor; the leaf "" is all of them.
      keep_norm: the gradient in the carry that enters has the norm, per example and over all leaves, of what the step
        received: of the gradients in the carry that leaves it and in its output, as one vector.
      window: a loss reaches so many steps, its own among them, and none before these; 0: all.
      drop: (leaf, rate) pairs: for each example and step the gradient in this leaf is dropped with this probability.
      step: the step with its gradient changed, where the numbers above do not give it: of layers seen as one cell.
    """

    scale: Factors = ()
    keep_norm: bool = False
    window: int = 0
    drop: Factors = ()
    step: Callable | None = None

    def factors(self, carry: Carry) -> list[float]:
        """Find the factor of each leaf of a carry.

        Args:
          carry: any tree.

        Returns:
          The factors, in JAX's order of the leaves.
        """
        return _by_leaf(self.scale, carry, 1.0)


def none() -> Credit:
    """Change nothing: back-propagation through time.

    Returns:
      The credit.
    """
    return Credit()


def decay(*, alpha: float = 0.0, half_life: float = 0.0, leaf: str = "") -> Credit:
    """Multiply the gradient in the carry by alpha at each step.

    Args:
      alpha: the factor; above 1 it grows. 0 stands for the one of `half_life`.
      half_life: steps after which a gradient that the cell keeps has halved, alpha = 2 ** (-1 / half_life).
      leaf: of the carry, such as "h" or "c" of an LSTM; "": all.

    Returns:
      The credit.

    Raises:
      ValueError: both or neither are given, or one is not positive.
    """
    if bool(alpha) == bool(half_life):
        raise ValueError(f"give alpha or half_life, one of the two, got {alpha} and {half_life}")
    name, value = ("alpha", alpha) if alpha else ("half_life", half_life)
    if not value > 0 or (name == "alpha" and value == float("inf")):
        raise ValueError(f"{name} must be positive, got {value}")
    return Credit(scale=((leaf, float(alpha or 2 ** (-1 / half_life))),))


def window(steps: int) -> Credit:
    """Cut the gradient of each loss after this many steps: back-propagation truncated at each step, not at chunks.

    The gradient of one step alone is `window(1)`. Costs up to `steps` times the reverse pass of a layer.

    Args:
      steps: that a loss reaches, its own among them.

    Returns:
      The credit.

    Raises:
      ValueError: steps is below one.
    """
    check_positive(steps=steps)
    return Credit(window=int(steps))


def stochastic(*, rate: float = 0.25, leaf: str = "") -> Credit:
    """Drop the gradient in a leaf of the carry with probability `rate`, anew for each example and step.

    For the leaf "h" of an LSTM this is h-detach (Arpit et al. 2019). Nothing is dropped without a key, as in diagnoses.

    Args:
      rate: the probability.
      leaf: of the carry; "": all, each by a draw of its own.

    Returns:
      The credit.

    Raises:
      ValueError: rate is outside [0, 1].
    """
    if not 0.0 <= rate <= 1.0:
        raise ValueError(f"rate must be from 0 to 1, got {rate}")
    return Credit(drop=((leaf, float(rate)),))


def renormalise() -> Credit:
    """Keep the norm of the gradient at each step, and its direction: what is left if only magnitude vanished.

    Returns:
      The credit.
    """
    return Credit(keep_norm=True)


CREDITS: dict[str, Callable[..., Credit]] = {
    "none": none,
    "decay": decay,
    "renormalise": renormalise,
    "stochastic": stochastic,
    "window": window,
}


def with_credit(cell: Cell, credit: Credit) -> Cell:
    """Change the gradient through the carry of a cell.

    Args:
      cell: any cell.
      credit: the change.

    Returns:
      The cell; its step, parameters and carry are the same.

    Raises:
      ValueError: the carry has no leaf of a name, or one that has no gradient.
    """
    if credit == Credit():
        return cell
    carry = jax.eval_shape(lambda key: cell.init_carry(cell.prepare(cell.init(key, 1)), ()), jax.random.key(0))
    known = [name for name, leaf in named(carry) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    for name, _ in (*credit.scale, *credit.drop):
        if name and name not in known:
            raise ValueError(
                f"leaf: this cell's carry has no {name!r}{nearest(name, known)}; it has {', '.join(known)}"
            )
    dropping = _dropping(cell, credit.drop) if credit.drop else cell
    left = credit._replace(drop=())
    return dropping if left == Credit() else dropping._replace(credit=left)


def _dropping(cell: Cell, drop: Factors) -> Cell:
    """Return the cell with noise among its inputs that says where the gradient is kept."""

    def project(params: Params, xs: PyTree, key: Key | None = None) -> dict[str, Any]:
        us = cell.project(params, xs, key)
        axes = jax.tree.leaves(xs)[0].shape[:-1]
        rates = _by_leaf(drop, jax.eval_shape(lambda p: cell.init_carry(p, ()), params), 0.0)
        return {"u": us, "kept": [_kept(key, number, rate, axes) for number, rate in enumerate(rates)]}

    def step(params: Params, carry: Carry, u: dict[str, Any]):
        leaves, tree = jax.tree.flatten(carry)
        detached = [_detach(leaf, kept) for leaf, kept in zip(leaves, u["kept"], strict=True)]
        return cell.step(params, jax.tree.unflatten(tree, detached), u["u"])

    observe = lambda params, carry, u: cell.observe(params, carry, u["u"])  # noqa: E731
    return cell._replace(project=project, step=step, observe=observe, structure=None)


def _kept(key: Key | None, number: int, rate: float, axes: tuple[int, ...]) -> Array:
    if key is None:
        return jnp.ones(axes, bool)
    return jax.random.bernoulli(jax.random.fold_in(key, 101 + number), 1 - rate, axes)


def _detach(leaf: Array, kept: Array) -> Array:
    """Return the leaf `[*b, ...]`, without a gradient where `kept` `[*b]` is False."""
    if not jnp.issubdtype(leaf.dtype, jnp.inexact):
        return leaf
    return jnp.where(kept.reshape(kept.shape + (1,) * (leaf.ndim - kept.ndim)), leaf, jax.lax.stop_gradient(leaf))


def _by_leaf(factors: Factors, carry: Carry, default: float) -> list[float]:
    """Return the number of each leaf, that of its own name before that of all."""
    given = dict(factors)
    return [given.get(name, given.get("", default)) for name, _ in named(carry)]
