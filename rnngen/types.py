"""Aliases, the axis legend, and the two records that tasks and models share.

Arrays are time-major. One letter names an axis in every docstring:

| letter | axis |
|---|---|
| `t` | time |
| `b` | batch; `*b` is any number of leading batch axes, also none |
| `d` | input features |
| `h` | hidden features |
| `g` | gates |
| `v` | vocabulary, or classes |
| `k` | lag: steps back from where a loss is read |
| `p` | trials in a pack |
"""

from collections.abc import Callable
from numbers import Integral
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array
Key = jax.Array
PyTree = Any
Params = Any
Carry = Any


class InputSpec(NamedTuple):
    """What a task feeds a model: `dim` float features, or tokens out of `dim`.

    feed: (values `[*b, ...]`, drawn or observed) -> inputs `[*b, dim]`, or tokens `[*b]`, of the step after them; None:
      a model of this task makes no sequences.
    start: the input of a sequence's first step, `[dim]` or `[]`.
    end: the token after which another sequence begins; None: there is none.
    """

    dim: int
    tokens: bool = False
    feed: Callable[[Array], Array] | None = None
    start: np.ndarray | None = None
    end: int | None = None

    def check(self, name: str, inputs: Any) -> None:
        """Raise ValueError where `inputs`, called `name`, should be tokens and are not whole numbers from 0 to dim - 1.

        While a program is traced, their values are not known, and only their type is looked at.
        """
        if not self.tokens:
            return
        wanted, dtype = f"{name} must be tokens from 0 to {self.dim - 1}", jnp.result_type(inputs)
        if not jnp.issubdtype(dtype, jnp.integer):
            raise ValueError(f"{wanted}, got {dtype}")
        if isinstance(inputs, jax.core.Tracer):
            return
        values = np.asarray(inputs)
        outside = np.argwhere((values < 0) | (values >= self.dim))
        if len(outside):
            raise ValueError(f"{wanted}, got {values[tuple(outside[0])]} at {outside[0].tolist()}")


class Batch(NamedTuple):
    """One batch of sequences, padded to a common length.

    inputs: `[t, *b, d]` floats or `[t, *b]` tokens. targets: `[t, *b]` or `[t, *b, d]`.
    mask: bool `[t, *b]`, which steps exist (goes to `unroll`); None: all do.
    weights: `[t, *b]`, which steps count in the loss; the targets of others may be anything, also NaN.
    resets: bool `[t, *b]`, where a new sequence begins; None: nowhere.
    """

    inputs: Array
    targets: Array
    weights: Array
    mask: Array | None = None
    resets: Array | None = None

    def existing(self) -> Array:
        """The mask `[t, *b]`, all True where there is none; it tells the batch axes, which tokens alone do not."""
        return jnp.ones(self.weights.shape, bool) if self.mask is None else self.mask

    def counted(self) -> "Batch":
        """With zeros for the targets of steps without weight: times 0, a NaN in a loss or its gradient stays one."""
        targets = jnp.asarray(self.targets)
        counts = jnp.reshape(self.weights != 0, (*self.weights.shape, *[1] * (targets.ndim - self.weights.ndim)))
        return self._replace(targets=jnp.where(counts, targets, jnp.zeros_like(targets)))


def is_whole(number: Any) -> bool:
    """Whether it is a whole number, Python's or NumPy's; True and False are none."""
    return isinstance(number, Integral) and not isinstance(number, bool)


def check_positive(**sizes: int) -> None:
    """Raise ValueError naming the first argument that is not a positive whole number."""
    for name, size in sizes.items():
        if not is_whole(size) or size < 1:
            raise ValueError(f"{name} must be a positive whole number, got {size!r}")
