"""The fused engine: a forward scan that keeps little, and a backward pass of its own over chunks of time.

In each chunk, from the last to the first, what does not depend on the gradient is computed for all steps at once, then
a thin reverse scan carries the gradient through them, and then the parameters get theirs from one product over the
whole chunk instead of one a step. What to keep and how to go back is derived from `step` alone (`derived.py`), or read
off a cell's hand-written `Backward` (`sharpened.py`). On a CPU, rnn, gru and lstm are compiled loops (`compiled.py`).
"""

import jax
import jax.numpy as jnp

from rnngen.cells import Gated
from rnngen.engines import trees
from rnngen.engines.compiled import compiled, fits
from rnngen.engines.derived import Derived
from rnngen.engines.reverse import Gradient, Kept
from rnngen.engines.sharpened import Sharpened
from rnngen.engines.steps import StepInput
from rnngen.types import Carry

SHORTEST, LONGEST, NUMBERS = 8, 25, 2**16


def fused(*, chunk: int | None = None, recompute: bool = False, by_hand: bool = True, kernels: bool = True):
    """`scan` with a faster backward pass; reverse-mode gradients only, second ones by reverse over reverse.

    chunk: steps a chunk, about; default 8 to 25, so that its carries are about a quarter of a megabyte.
    recompute: keep the carries alone, and compute the rest again in each chunk: less memory, about as fast.
    by_hand: use the cell's hand-written `Backward` if it has one.
    kernels: use compiled loops where there are some (`compiled.py`), which have chunks of their own and recompute
      nothing; with `chunk` or `recompute` given they are not.
    Raises ValueError for a chunk below one.
    """
    if chunk is not None and (not isinstance(chunk, int) or chunk < 1):
        raise ValueError(f"chunk must be a positive whole number, got {chunk!r}")

    def run(cell, params, carry, inputs):
        sharp = by_hand and isinstance(cell.structure, Gated) and cell.structure.backward is not None
        method = Sharpened(cell, recompute) if sharp else Derived(cell)
        in_jax = _differentiable(method, chunk or _chunk(carry))
        if sharp and kernels and not chunk and not recompute and fits(cell, params, carry, inputs):
            return *compiled(cell, params, carry, inputs, in_jax), {}
        return *in_jax(params, carry, inputs), {}

    return run


def _chunk(carry: Carry) -> int:
    """What stays in a core's cache while the chunk is gone through three times."""
    return min(max(NUMBERS // sum(leaf.size for leaf in jax.tree.leaves(carry)), SHORTEST), LONGEST)


def _differentiable(method, chunk: int):
    """(params, carry, inputs) -> (carry, ys) with the method's own gradient."""

    @jax.custom_vjp
    def run(params, carry, inputs):
        return forward(params, carry, inputs)[0]

    def forward(params, carry, inputs):
        last, ys, kept = method.forward(params, carry, inputs)
        return (last, ys), (params, carry, inputs, kept)

    def backward(residuals, gradients):
        return _backward(method, chunk, *residuals, *gradients)

    run.defvjp(forward, backward)
    return run


def _backward(method, chunk: int, params, carry, inputs: StepInput, kept: Kept, dlast, dys):
    """Gradients in (params, carry, inputs), the chunks taken from the last to the first."""
    size = trees.chunk_size(trees.length(inputs), chunk)
    starts = _carries_before_chunks(carry, kept.carries, size)
    whole, rest = trees.chunked((inputs, kept, trees.floats(dys)), size)

    def one_chunk(gradient, parts):
        start, (inputs, kept, dys) = parts
        return method.backward(params, start, inputs, kept, gradient, dys)

    gradient, drest = Gradient.start(params, dlast), None
    if rest is not None:
        gradient, drest = one_chunk(gradient, (jax.tree.map(lambda x: x[-1], starts), rest))
        starts = jax.tree.map(lambda x: x[:-1], starts)
    gradient, dwhole = jax.lax.scan(one_chunk, gradient, (starts, whole), reverse=True)
    dparams = jax.tree.map(lambda d, p: d.astype(p.dtype), gradient.params, trees.floats(params))
    dinputs = trees.unchunked(dwhole, drest)
    return tuple(map(trees.cotangents, (params, carry, inputs), (dparams, gradient.carry, dinputs)))


def _carries_before_chunks(carry: Carry, carries: Carry, size: int) -> Carry:
    """The carry before the first step of each chunk, `[chunks, *b, ...]`."""
    chunks = -(-trees.length(carries) // size)
    return jax.tree.map(lambda c, cs: jnp.concatenate([c[None], cs[size - 1 :: size]])[:chunks], carry, carries)
