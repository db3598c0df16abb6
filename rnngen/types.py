"""Type aliases, the legend of axes, and the two types that tasks and models share.

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

from collections.abc import Callable, Sequence
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


def named(tree: PyTree) -> list[tuple[str, Any]]:
    """List the leaves of a tree, each with its path as a name, such as `layer_0/h`.

    Args:
      tree: a carry, parameters, or any other.

    Returns:
      (name, leaf) of each, in JAX's order; a tree that is one array is called `h`, as a carry.
    """
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    return [(jax.tree_util.keystr(path, simple=True, separator="/") or "h", leaf) for path, leaf in paths]


def shapes_of(function: Callable, *arguments: Any) -> PyTree:
    """Compute the shapes and dtypes of what a function returns.

    JAX keeps a little of each tracing as long as the function lives: here one that lives for this call.

    Args:
      function: to be traced.
      *arguments: of it, or their shapes.

    Returns:
      A tree of `jax.ShapeDtypeStruct`.
    """
    return jax.eval_shape(lambda *given: function(*given), *arguments)


class InputSpec(NamedTuple):
    """The inputs of a model: `dim` float features, or tokens out of `dim`.

    Attributes:
      dim: d, the number of features, or of tokens.
      tokens: the inputs are tokens.
      feed: (values `[*b, ...]`, drawn or observed) -> inputs `[*b, dim]`, or tokens `[*b]`, of the next step; None for
        a task without generation.
      start: the input of a sequence's first step, `[dim]` or `[]`.
      end: the token that ends a sequence, or None.
    """

    dim: int
    tokens: bool = False
    feed: Callable[[Array], Array] | None = None
    start: np.ndarray | None = None
    end: int | None = None

    def check(self, name: str, inputs: Any) -> None:
        """Check that inputs are tokens, where they should be: whole numbers from 0 to dim - 1.

        While a program is traced, values are unknown and only the type is checked.

        Args:
          name: of the inputs, for the error.
          inputs: to be checked.

        Raises:
          ValueError: they are not.
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

    Attributes:
      inputs: `[t, *b, d]` floats or `[t, *b]` tokens.
      targets: `[t, *b]` or `[t, *b, d]`.
      mask: bool `[t, *b]`, False at padding (as in `unroll`); None: no padding.
      weights: `[t, *b]`, of the steps in the loss; targets of weight 0 may be anything, also NaN.
      resets: bool `[t, *b]`, True where a new sequence begins; None: nowhere.
    """

    inputs: Array
    targets: Array
    weights: Array
    mask: Array | None = None
    resets: Array | None = None

    def existing(self) -> Array:
        """Return the mask of the steps that exist.

        Returns:
          The mask `[t, *b]`, all True if there is none.
        """
        return jnp.ones(self.weights.shape, bool) if self.mask is None else self.mask

    def counted(self) -> "Batch":
        """Replace targets of weight 0 by zeros: a NaN in a loss or its gradient stays NaN when multiplied by 0.

        Returns:
          The batch with other targets.
        """
        targets = jnp.asarray(self.targets)
        counts = jnp.reshape(self.weights != 0, (*self.weights.shape, *[1] * (targets.ndim - self.weights.ndim)))
        return self._replace(targets=jnp.where(counts, targets, jnp.zeros_like(targets)))


def is_whole(number: Any) -> bool:
    """Return True for a whole number of Python or NumPy, but not for a bool."""
    return isinstance(number, Integral) and not isinstance(number, bool)


def check_positive(**sizes: int) -> None:
    """Raise ValueError naming the first argument that is not a positive whole number."""
    for name, size in sizes.items():
        if not is_whole(size) or size < 1:
            raise ValueError(f"{name} must be a positive whole number, got {size!r}")


def check_one_of(known: Sequence[str], **words: str) -> None:
    """Raise ValueError naming the first argument that is none of the known words."""
    for name, word in words.items():
        if word not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {word!r}")


def at_least_float32(x: Array) -> Array:
    """Cast an array of a narrower type to float32; others stay as they are."""
    return x.astype(jnp.float32) if x.dtype.itemsize < 4 else x
