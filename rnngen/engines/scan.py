"""The plain engine: `jax.lax.scan` over the step. Right for every cell; every other engine is held to it."""

import math

import jax

from rnngen.engines.steps import full_step, project
from rnngen.engines.trees import chunk_size, chunked, length, unchunked
from rnngen.types import check_positive


def scan(*, remat: bool = False, unroll: int = 1):
    """One step after another; differentiable any number of times, forwards and backwards.

    remat: keep only the carries at the borders of chunks of about sqrt(t) steps and compute the rest again for
      the gradient: memory grows with the square root of t, time by about a third.
    unroll: steps a loop iteration, as in `jax.lax.scan`. Raises ValueError for less than one.
    """
    check_positive(unroll=unroll)

    def run(cell, params, carry, inputs):
        step = full_step(cell)
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
