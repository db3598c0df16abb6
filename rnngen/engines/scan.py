"""The plain engine: `jax.lax.scan` over the step. It runs every cell, and every other engine is tested against it."""

import math

import jax

from rnngen.engines.steps import full_step, project
from rnngen.engines.trees import chunk_size, chunked, length, unchunked
from rnngen.types import check_positive


def scan(*, remat: bool = False, unroll: int = 1):
    """Run the steps sequentially; differentiable any number of times, in forward and reverse mode.

    Args:
      remat: save only the carries between chunks of about sqrt(t) steps, and recompute the rest for the gradient:
        memory grows with the square root of t, time by about a third.
      unroll: steps per loop iteration, as in `jax.lax.scan`.

    Returns:
      The engine.

    Raises:
      ValueError: unroll is below one.
    """
    check_positive(unroll=unroll)

    def run(cell, params, carry, inputs, record=None):
        step = full_step(cell, record)
        if not remat:
            inputs = project(cell, params, inputs)
            last, ys = jax.lax.scan(lambda c, i: step(params, c, i), carry, inputs, unroll=int(unroll))
            return last, ys, {}

        @jax.checkpoint
        def chunk(carry, inputs):
            inputs = project(cell, params, inputs)
            return jax.lax.scan(lambda c, i: step(params, c, i), carry, inputs, unroll=unroll)

        whole, rest = chunked(inputs, chunk_size(length(inputs), math.isqrt(length(inputs))))
        carry, ys = jax.lax.scan(chunk, carry, whole)
        carry, more = (carry, None) if rest is None else chunk(carry, rest)
        return carry, unchunked(ys, more), {}

    return run
