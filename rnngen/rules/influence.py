"""The contract of a forward rule: how the influence J_t = dc_t / dtheta of the parameters on the carry is kept.

Everything here is of one example, and the carry is a list of real arrays (see `reals`).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from rnngen.types import Array

Reals = list[Array]


class Jacobian(NamedTuple):
    """The derivatives of a step (theta, c) -> c', D = dc'/dc and I = dc'/dtheta.

    Attributes:
      pull: (gradient g in c') -> (g I, g D).
      push: (tangent s of c) -> D s.
    """

    pull: Callable[[Reals], tuple[Reals, Reals]]
    push: Callable[[Reals], Reals]


class Influence(NamedTuple):
    """How J is kept and moved.

    Attributes:
      theta: the prepared parameters that it is of, by their places among the leaves; the others reach no carry.
      zeros: () -> J where nothing has had an influence yet.
      move: (J, Jacobian of a step, key) -> J after the step, that is D J + I or what the rule makes of it.
      pull: (J, gradient g in the carry) -> g J, a list like theta.
      size: the numbers that it holds for each example.
      noisy: `move` draws noise, and so needs a key.
    """

    theta: tuple[int, ...]
    zeros: Callable[[], Any]
    move: Callable[[Any, Jacobian, Any], Any]
    pull: Callable[[Any, Reals], Reals]
    size: int
    noisy: bool = False
