"""The fused engine: a forward scan that keeps little, and a backward pass of its own over chunks of time.

In each chunk, from the last to the first, what does not depend on the gradient is computed for all steps at once, then
a thin reverse scan carries the gradient through them, and then the parameters get theirs from one product over the
whole chunk instead of one a step. What to keep and how to go back is derived from `step` alone (`derived.py`), or read
off a cell's hand-written `Backward` (`sharpened.py`). On a CPU, pointwise `Gated` cells are compiled loops
(`compiled.py`) wherever these were timed to be faster (`calibration.py`).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from rnngen.cells import Cell, Gated
from rnngen.engines import trees
from rnngen.engines.cpu import build, calibration
from rnngen.engines.cpu.calibration import LOOPS, PASS, SCAN, Found, Ways
from rnngen.engines.cpu.export import FEATURES, programs
from rnngen.engines.cpu.generator import Loops
from rnngen.engines.cpu.loops import compiled, loops_for
from rnngen.engines.derived import Derived
from rnngen.engines.handwritten import Sharpened
from rnngen.engines.reverse import Gradient, Residuals
from rnngen.engines.scan import scan
from rnngen.engines.steps import StepInput
from rnngen.engines.ways import by_ways
from rnngen.types import Carry, check_positive

SHORTEST, LONGEST, NUMBERS = 8, 25, 2**16


def fused(*, chunk: int | None = None, recompute: bool = False, by_hand: bool = True, kernels: bool | None = None):
    """`scan` with a faster backward pass; reverse-mode gradients only, second ones by reverse over reverse.

    chunk: steps a chunk, about; default 8 to 25, so that its carries are about a quarter of a megabyte.
    recompute: keep the carries alone, and compute the rest again in each chunk: less memory, about as fast.
    by_hand: use the cell's hand-written `Backward` if it has one.
    kernels: run compiled loops (`compiled.py`), which have chunks of their own and recompute nothing: None: where they
      are faster here than the pass in JAX; True: where there are some; False: not. With `chunk` or `recompute` given
      they are not run.
    Raises ValueError for a chunk below one.
    """
    if chunk is not None:
        check_positive(chunk=chunk)

    def in_jax(cell, carry):
        sharp = by_hand and isinstance(cell.structure, Gated) and cell.structure.backward is not None
        return _differentiable(Sharpened(cell, recompute) if sharp else Derived(cell), chunk or _chunk(carry))

    def run(cell, params, carry, inputs):
        may = by_hand and kernels is not False and not chunk and not recompute
        loops = loops_for(cell, params, carry, inputs) if may else None
        if loops is not None and kernels is None:
            engines = engines_of(cell, loops)
            return by_ways(fastest(cell, loops, inputs, (LOOPS, PASS)), engines)(cell, params, carry, inputs)
        if loops is not None and found(cell, loops, inputs).why_not is None:
            return engines_of(cell, loops)[LOOPS](cell, params, carry, inputs)
        return *in_jax(cell, carry)(params, carry, inputs), {}

    return run


def engines_of(cell: Cell, loops: Loops, threads: int | None = None) -> dict[str, Callable]:
    """The engine of each way of running a cell that has loops; that of the loops expects these to be there."""
    in_jax = lambda cell: lambda params, *rest: fused(kernels=False)(cell, params, *rest)[:2]  # noqa: E731
    return {LOOPS: compiled(loops, in_jax, threads), PASS: fused(kernels=False), SCAN: scan()}


def fastest(cell: Cell, loops: Loops, inputs: StepInput, among: tuple[str, ...] = calibration.WAYS) -> Ways:
    """The ways that are fastest here for a cell with loops."""
    return calibration.ways(loops.library, cell.output_dim, _programs(cell, loops, inputs), among)


def ready(cell: Cell) -> Found | None:
    """What is kept of a cell's loops here, which are built and timed first where they are new; None: it has none, or
    takes no `FEATURES`, so that more has to be known of what it reads."""
    try:
        params = jax.eval_shape(lambda key: cell.prepare(cell.init(key, FEATURES)), jax.random.key(0))
    except Exception:  # whatever a cell raises where it is asked for another input than it gets: no sweep ends by that
        return None
    inputs = StepInput(jax.ShapeDtypeStruct((1, 1, FEATURES), jnp.float32))
    loops = loops_for(cell, params, jax.eval_shape(lambda p: cell.init_carry(p, (1,)), params), inputs)
    return None if loops is None else found(cell, loops, inputs)


def found(cell: Cell, loops: Loops, inputs: StepInput) -> Found:
    """What is kept of these loops of a cell, likewise."""
    return calibration.find(loops.library, cell.output_dim, _programs(cell, loops, inputs))


def _programs(cell: Cell, loops: Loops, inputs: StepInput) -> Callable:
    names = [build.target(loops.library, call) for call in loops.library.calls]
    return lambda: programs(cell, engines_of(cell, loops, threads=1), names, inputs.u.shape[-1])


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


def _backward(method, chunk: int, params, carry, inputs: StepInput, kept: Residuals, dlast, dys):
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
