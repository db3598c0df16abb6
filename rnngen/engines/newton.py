"""The newton engine: all steps of any cell in parallel, by Newton's method on the whole trajectory.

A trajectory solves c_t = f_t(c_{t-1}) for all t together. Linearised around a guess, this is a linear recurrence,
which `recurrence.solve` solves in logarithmic depth: DEER (Lim et al. 2024). Far from the solution the linearised
recurrence may explode. Instead of the trust region of ELK (Gonzalez et al. 2024), the Jacobians are then scaled by
1 - damping; a damping of 1 is plain fixed-point iteration, which stays finite.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnngen.cells import Cell
from rnngen.engines import trees
from rnngen.engines.dependence import depends
from rnngen.engines.fused import replay
from rnngen.engines.jacobians import CHOICES, DENSE_LIMIT, Trajectory
from rnngen.engines.steps import full_step, project
from rnngen.registry import nearest
from rnngen.types import Array, Carry, Params

BLOCK = 16


def newton(*, tolerance: float = 2e-6, max_iterations: int = 50, jacobian: str = "auto", block: int = BLOCK):
    """Run all steps of a cell with a real carry in parallel, by Newton's method (DEER).

    Reverse-mode gradients only, by the reversed recurrence at the solution, not through the iterations. The notes are
    `newton_iterations`, `newton_error` and `newton_fell_back` (0 or 1).

    Args:
      tolerance: the largest |c_t - f_t(c_{t-1})| allowed, relative to 1 + the largest |c|.
      max_iterations: iterations after which the trajectory is computed by `scan` instead.
      jacobian: "dense" (n^2 numbers per step, for a carry of n), "diagonal" (exact for a cell with `diagonal`, else a
        quasi-Newton method, Gonzalez et al. 2024), or "auto": diagonal for a cell with `diagonal`, dense up to n = 32.
      block: as in `associative`.

    Returns:
      The engine.

    Raises:
      ValueError: an argument is out of range, the carry is complex, or an integer in the carry depends on a float.
    """
    if jacobian not in CHOICES:
        raise ValueError(f"unknown jacobian {jacobian!r}{nearest(jacobian, CHOICES)}")
    if not tolerance > 0 or max_iterations < 1 or block < 1:
        raise ValueError(
            f"tolerance, max_iterations and block must be positive, got {tolerance}, {max_iterations}, {block}"
        )
    options = _Options(tolerance, max_iterations, jacobian, block)

    def run(cell, params, carry, inputs):
        _check(cell, params, carry, inputs)
        plain = cell._replace(credit=None)
        step = full_step(plain)
        integers = _integers(plain, step, params, carry, inputs)
        carries, notes = _trajectory(plain, options)(params, carry, inputs, integers)
        lefts = trees.merge(carries, integers)
        if cell.credit is not None:
            return *replay(cell, params, carry, inputs, lefts), notes
        _, ys = step(params, trees.entering(carry, lefts), project(cell, params, inputs))
        return jax.tree.map(lambda c: c[-1], lefts), ys, notes

    return run


class _Options(NamedTuple):
    tolerance: float
    max_iterations: int
    jacobian: str
    block: int


class _Guess(NamedTuple):
    """The best trajectory so far, states `[t, *b, n]`, with its error in the recurrence."""

    states: Array
    error: Array
    damping: Array
    iterations: Array


def _trajectory(cell: Cell, options: _Options):
    """Return (params, carry, inputs, integers) -> (the floats of the carries that leave the steps, notes)."""

    def problem(params, carry, inputs, integers) -> Trajectory:
        small = _numbers(cell, params) <= DENSE_LIMIT
        dense = options.jacobian == "dense" or (options.jacobian == "auto" and small and not cell.diagonal)
        exact = dense or cell.diagonal
        return Trajectory(cell, params, carry, inputs, integers, dense, exact, options.block)

    @jax.custom_vjp
    def run(params, carry, inputs, integers):
        whole = problem(params, carry, inputs, integers)
        guess = _iterate(whole, options)
        converged = guess.error <= options.tolerance

        def fall_back():
            return whole.flat(_scan_carries(cell, params, carry, inputs))

        states = jax.lax.cond(converged, lambda: guess.states, fall_back)
        notes = {"iterations": guess.iterations, "error": guess.error, "fell_back": ~converged}
        return whole.unflat(states), {f"newton_{k}": v.astype(jnp.float32) for k, v in notes.items()}

    def forward(params, carry, inputs, integers):
        carries, notes = run(params, carry, inputs, integers)
        return (carries, notes), (params, carry, inputs, integers, carries)

    def backward(residuals, gradients):
        params, carry, inputs, integers, carries = residuals
        whole = problem(params, carry, inputs, integers)
        dparams, dcarry, dinputs = whole.gradients(carries, trees.floats(gradients[0]))
        rest = trees.cotangents(integers, trees.floats(integers))
        return (
            trees.cotangents(params, dparams),
            trees.cotangents(carry, dcarry),
            trees.cotangents(inputs, dinputs),
            rest,
        )

    run.defvjp(forward, backward)
    return run


def _scan_carries(cell: Cell, params: Params, carry: Carry, inputs) -> Carry:
    """Return the floats of the carries that leave the steps, computed sequentially."""
    step = full_step(cell)

    def body(carry, inputs):
        left, _ = step(params, carry, inputs)
        return left, trees.floats(left)

    return jax.lax.scan(body, carry, project(cell, params, inputs))[1]


def _iterate(whole: Trajectory, options: _Options) -> _Guess:
    start = whole.constant_guess()
    none = jnp.zeros((), start.dtype)
    first = _Guess(start, whole.error(start), none, jnp.zeros((), jnp.int32))

    def unsolved(guess: _Guess):
        # Written so that a NaN error goes on, and ends as a failure.
        return ~(guess.error <= options.tolerance) & (guess.iterations < options.max_iterations)

    def improve(guess: _Guess) -> _Guess:
        states = whole.newton_step(guess.states, guess.damping)
        error = whole.error(states)
        better = error < guess.error
        # Full damping is fixed-point iteration: each makes one more step exact, whatever the error.
        taken = better | (guess.damping >= 1)
        damping = jnp.where(better, jnp.where(guess.damping < 0.1, 0, guess.damping / 4), _more(guess.damping))
        kept = jnp.where(taken, states, guess.states), jnp.where(taken, error, guess.error)
        return _Guess(*kept, damping.astype(none.dtype), guess.iterations + 1)

    return jax.lax.while_loop(unsolved, improve, first)


def _more(damping: Array) -> Array:
    return jnp.minimum(1.0, jnp.maximum(0.25, 2 * damping)).astype(damping.dtype)


def _check(cell: Cell, params: Params, carry: Carry, inputs) -> None:
    """Raise ValueError for a cell that Newton's method cannot run."""
    if any(jnp.iscomplexobj(leaf) for leaf in jax.tree.leaves(carry)):
        raise ValueError("engine 'newton' needs real carries, this cell's are complex; use 'scan'")
    at_first = jax.tree.map(lambda x: x[0], project(cell, params, inputs))
    structure: Any
    leaves, structure = jax.tree.flatten(carry)
    flat = jax.make_jaxpr(
        lambda *leaves: jax.tree.leaves(full_step(cell)(params, structure.unflatten(leaves), at_first)[0])
    )
    out = depends(flat(*leaves).jaxpr, [trees.is_float(leaf) for leaf in leaves])
    if any(d and not trees.is_float(leaf) for d, leaf in zip(out, leaves, strict=True)):
        raise ValueError("engine 'newton': an integer in this cell's carry depends on a float in it; use 'scan'")


def _integers(cell: Cell, step, params: Params, carry: Carry, inputs) -> Any:
    """Return the integer leaves of the carries that leave the steps; they do not depend on the floats."""
    if not jax.tree.leaves(trees.others(carry)):
        return trees.others(carry)
    some = trees.floats(carry)

    def body(integers, inputs):
        left, _ = step(params, trees.merge(some, integers), inputs)
        return trees.others(left), trees.others(left)

    return jax.lax.scan(body, trees.others(carry), project(cell, params, inputs))[1]


def _numbers(cell: Cell, params: Params) -> int:
    """Return n, the number of floats in one example's carry."""
    single = jax.eval_shape(lambda p: cell.init_carry(p, ()), params)
    return sum(leaf.size for leaf in jax.tree.leaves(trees.floats(single)))
