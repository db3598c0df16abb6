"""The fused engine: a forward scan with few residuals, and a custom backward pass over chunks of time.

In each chunk, from the last to the first, everything that does not depend on the gradient is computed for all steps at
once; then a reverse scan carries the gradient through them; and one product over the whole chunk, instead of one per
step, gives the gradient in the parameters. Residuals and backward pass are derived from `step` (`derived.py`), or taken
from a cell's handwritten `Backward` (`handwritten.py`). On a CPU, pointwise `Gated` cells run as compiled loops
(`cpu/loops.py`) where these were timed to be faster (`cpu/calibration.py`).
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
from rnngen.engines.handwritten import Handwritten
from rnngen.engines.reverse import Gradient, Residuals
from rnngen.engines.scan import scan
from rnngen.engines.steps import StepInput, project
from rnngen.engines.ways import by_ways
from rnngen.types import Carry, Params, PyTree, check_positive

SHORTEST, LONGEST, NUMBERS = 8, 25, 2**16


def fused(*, chunk: int | None = None, recompute: bool = False, by_hand: bool = True, kernels: bool | None = None):
    """Run as `scan` with a faster backward pass; reverse-mode gradients only, second ones by reverse over reverse.

    Args:
      chunk: about how many steps per chunk; default 8 to 25, so that its carries are about a quarter of a megabyte.
      recompute: save only the carries, and recompute the rest in each chunk: less memory, about as fast.
      by_hand: use the cell's handwritten `Backward` if it has one.
      kernels: run compiled loops: where they are faster here than the pass in JAX (None), wherever the cell has them
        (True), or never (False). They are not run with `chunk` or `recompute`.

    Returns:
      The engine.

    Raises:
      ValueError: chunk is below one.
    """
    if chunk is not None:
        check_positive(chunk=chunk)

    def in_jax(cell, carry):
        sharp = by_hand and isinstance(cell.structure, Gated) and cell.structure.backward is not None
        return _differentiable(Handwritten(cell, recompute) if sharp else Derived(cell), chunk or _chunk(carry))

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
    """Return the engine of each way of running a cell that has loops, which must have been built."""
    in_jax = lambda cell: lambda params, *rest: fused(kernels=False)(cell, params, *rest)[:2]  # noqa: E731
    return {LOOPS: compiled(loops, in_jax, threads), PASS: fused(kernels=False), SCAN: scan()}


def fastest(cell: Cell, loops: Loops, inputs: StepInput, among: tuple[str, ...] = calibration.WAYS) -> Ways:
    """Return the fastest ways on this machine for a cell with loops."""
    return calibration.ways(loops.library, cell.output_dim, _programs(cell, loops, inputs), among)


def ready(cell: Cell) -> Found | None:
    """Return the calibration of a cell's loops, built and timed now if they are new.

    None: the cell has no loops, or does not take `FEATURES` features, so that its input has to be known.
    """
    try:
        params = jax.eval_shape(lambda key: cell.prepare(cell.init(key, FEATURES)), jax.random.key(0))
    except Exception:  # a cell may raise anything for an input it was not made for, and no sweep must end by that
        return None
    inputs = StepInput(jax.ShapeDtypeStruct((1, 1, FEATURES), jnp.float32))
    loops = loops_for(cell, params, jax.eval_shape(lambda p: cell.init_carry(p, (1,)), params), inputs)
    return None if loops is None else found(cell, loops, inputs)


def found(cell: Cell, loops: Loops, inputs: StepInput) -> Found:
    """Return the calibration of these loops of a cell, likewise."""
    return calibration.find(loops.library, cell.output_dim, _programs(cell, loops, inputs))


def _programs(cell: Cell, loops: Loops, inputs: StepInput) -> Callable:
    names = [build.target(loops.library, call) for call in loops.library.calls]
    plain = cell._replace(credit=None)  # one timing for all
    return lambda: programs(plain, engines_of(plain, loops, threads=1), names, FEATURES, inputs.u.shape[-1])


def _chunk(carry: Carry) -> int:
    """Return the chunk whose carries stay in a core's cache for the three passes over it."""
    return min(max(NUMBERS // sum(leaf.size for leaf in jax.tree.leaves(carry)), SHORTEST), LONGEST)


def _differentiable(method, chunk: int):
    """Return (params, carry, inputs) -> (carry, ys) with the method's own gradient."""

    @jax.custom_vjp
    def run(params, carry, inputs):
        return forward(params, carry, inputs)[0]

    def forward(params, carry, inputs):
        last, ys, residuals = method.forward(params, carry, inputs)
        return (last, ys), (params, carry, inputs, residuals)

    def backward(residuals, gradients):
        return _backward(method, chunk, *residuals, *gradients)

    run.defvjp(forward, backward)
    return run


def replay(cell: Cell, params: Params, carry: Carry, inputs: StepInput, lefts: Carry) -> tuple[Carry, PyTree]:
    """Return (last carry, ys) of steps whose carries are known, with the gradient of a scan over the steps.

    lefts: the carries that leave the steps, `[t, *b, ...]`, however they were computed; they get no gradient.
    """
    method = Derived(cell)

    @jax.custom_vjp
    def run(params, carry, inputs, lefts):
        _, ys = method.step(params, trees.entering(carry, lefts), project(cell, params, inputs))
        return jax.tree.map(lambda c: c[-1], lefts), ys

    def forward(params, carry, inputs, lefts):
        return run(params, carry, inputs, lefts), (params, carry, inputs, Residuals(lefts))

    def backward(kept, gradients):
        (*found,) = _backward(method, _chunk(carry), *kept, *gradients)
        lefts = kept[-1].carries
        return *found, trees.cotangents(lefts, jax.tree.map(jnp.zeros_like, trees.floats(lefts)))

    run.defvjp(forward, backward)
    return run(params, carry, inputs, lefts)


def _backward(method, chunk: int, params, carry, inputs: StepInput, residuals: Residuals, dlast, dys):
    """Return the gradients in (params, carry, inputs), chunk by chunk from the last to the first."""
    size = trees.chunk_size(trees.length(inputs), chunk)
    starts = _carries_before_chunks(carry, residuals.carries, size)
    whole, rest = trees.chunked((inputs, residuals, trees.floats(dys)), size)

    def one_chunk(gradient, parts):
        start, (inputs, residuals, dys) = parts
        return method.backward(params, start, inputs, residuals, gradient, dys)

    gradient, drest = Gradient.start(params, dlast), None
    if rest is not None:
        gradient, drest = one_chunk(gradient, (jax.tree.map(lambda x: x[-1], starts), rest))
        starts = jax.tree.map(lambda x: x[:-1], starts)
    gradient, dwhole = jax.lax.scan(one_chunk, gradient, (starts, whole), reverse=True)
    dparams = jax.tree.map(lambda d, p: d.astype(p.dtype), gradient.params, trees.floats(params))
    dinputs = trees.unchunked(dwhole, drest)
    return tuple(map(trees.cotangents, (params, carry, inputs), (dparams, gradient.carry, dinputs)))


def _carries_before_chunks(carry: Carry, carries: Carry, size: int) -> Carry:
    """Return the carry before the first step of each chunk, `[chunks, *b, ...]`."""
    chunks = -(-trees.length(carries) // size)
    return jax.tree.map(lambda c, cs: jnp.concatenate([c[None], cs[size - 1 :: size]])[:chunks], carry, carries)
