"""The contract of controls, and the layer that one makes."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp

from rnngen.engines import cast_params
from rnngen.models.layers import Layer
from rnngen.models.segments import compact, restore
from rnngen.types import Array, Key, Params


class Control(NamedTuple):
    """A causal layer that sees all steps at once and has no carry.

    Attributes:
      init: (key, input_dim) -> params, a nested dict of real arrays under string keys.
      apply: (params, xs `[t, *b, d]`, segments) -> ys `[t, *b, h]`. Masked steps are not among xs, but for padding at
        the end; segments: int `[t, *b]`, a step sees those of its own number alone; None: all are of one.
      output_dim: h, the features of ys.
    """

    init: Callable[[Key, int], Params]
    apply: Callable[[Params, Array, Array | None], Array]
    output_dim: int


def at_once(control: Control) -> Layer:
    """Run a control over all steps; a step that is masked counts as absent.

    Args:
      control: the control.

    Returns:
      The layer, without a cell; its carry is empty.
    """

    def init(key, input_dim):
        return cast_params(control.init(key, input_dim), jnp.zeros((), jnp.float32))

    def prepare(params, like):
        return cast_params(params, like)

    def init_carry(params, batch_shape):
        return {}

    def run(params, xs, carry=None, *, mask=None, resets=None, **_):
        ys = control.apply(cast_params(params, xs), *compact(xs, mask, resets))
        return {}, restore(ys, mask), {}

    def change(function, key, params):
        return function(key, params)

    return Layer(None, control.output_dim, init, prepare, init_carry, run, change)
