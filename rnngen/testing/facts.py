"""Measurements of a cell for its report: parameters, engines, speed, and the reach of its gradient."""

import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.cells import CELLS, Affine, Cell, Gated
from rnngen.datasets import TASKS
from rnngen.diagnostics import memory_horizon
from rnngen.engines import unroll
from rnngen.engines.cpu.loops import why_none
from rnngen.models.stack import build_model
from rnngen.testing.case import SMALLER, Case
from rnngen.testing.runs import allowed, refusal
from rnngen.testing.structures import carry_jacobian
from rnngen.types import named

BUILT_IN = ("gru", "lstm", "mingru", "rnn")
STEPS, BATCH, FEATURES, ROUNDS = 100, 32, 16, 7


def facts(cell: Cell) -> list[str]:
    """Measure a cell that passes its checks, and describe the results in lines."""
    return [carry_of(cell), *structure_of(cell), speed(cell), horizon(cell)]


def carry_of(cell: Cell) -> str:
    """Describe the parameters for 16 features, and an example's carry."""
    params = jax.eval_shape(lambda key: cell.init(key, FEATURES), jax.random.key(0))
    carry = jax.eval_shape(lambda p: cell.init_carry(cell.prepare(p), ()), params)
    leaves = [f"{name} {leaf.dtype}{list(leaf.shape)}" for name, leaf in named(carry)]
    return f"{count(cell)} parameters with {FEATURES} input features; carry {', '.join(leaves)}"


def count(cell: Cell) -> int:
    """Count the parameters of a cell."""
    return sum(p.size for p in jax.tree.leaves(jax.eval_shape(lambda k: cell.init(k, FEATURES), jax.random.key(0))))


def structure_of(cell: Cell) -> list[str]:
    """Describe the declared structure, the engines that it allows, and what else could be declared."""
    with jax.enable_x64(True):
        lines = [claims_of(cell)]
        why = refusal(cell)
        jacobian = carry_jacobian(Case(cell, SMALLER[0]))
    lines.append(loops_of(cell))
    lines += [f"newton refuses: {why}"] if why else []
    off_diagonal = jacobian - np.diag(np.diag(jacobian))
    if not cell.diagonal and len(jacobian) > 1 and not off_diagonal.any():
        lines.append("its step's Jacobian is diagonal: with diagonal=True, newton is linear in the carry's size")
    return lines


def loops_of(cell: Cell) -> str:
    """Say if the cell runs as compiled loops on a CPU."""
    shape = jax.ShapeDtypeStruct((1, FEATURES), jnp.float32)
    why = why_none(cell, jax.eval_shape(lambda k: cell.prepare(cell.init(k, FEATURES)), jax.random.key(0)), shape)
    return "runs as compiled loops on a CPU in float32" if why is None else f"no compiled loops: {why}"


def claims_of(cell: Cell) -> str:
    """Describe the declared structure and the engines that it allows; within `jax.enable_x64()`."""
    declared = {Gated: "Gated structure", Affine: "Affine structure"}.get(type(cell.structure), "no structure declared")
    return f"{declared}{', diagonal' if cell.diagonal else ''}; engines scan, {', '.join(allowed(cell))}"


def speed(cell: Cell) -> str:
    """Compare the time of a gradient with the built-in cell of the same width and the nearest number of parameters."""
    others = {name: CELLS[name](cell.output_dim) for name in BUILT_IN}
    nearest = min(others, key=lambda name: abs(count(others[name]) - count(cell)))
    runs = [_gradient(cell), _gradient(others[nearest])]
    times: list[list[float]] = [[], []]
    for _ in range(ROUNDS):  # interleaved, so that other load on the machine affects both
        for run, taken in zip(runs, times, strict=True):
            start = time.perf_counter()
            jax.block_until_ready(run())
            taken.append(time.perf_counter() - start)
    mine, its = map(statistics.median, times)
    return (
        f"a gradient over {STEPS} steps of {BATCH} sequences takes {1000 * mine:.3g} ms, {mine / its:.2g} times "
        f"that of {nearest}({cell.output_dim}) with {count(others[nearest])} parameters"
    )


def _gradient(cell: Cell) -> Callable:
    params = cell.init(jax.random.key(0), FEATURES)
    xs = jax.random.normal(jax.random.key(1), (STEPS, BATCH, FEATURES))
    run = jax.jit(jax.grad(lambda p: jnp.mean(unroll(cell, p, xs)[1] ** 2)))
    jax.block_until_ready(run(params))
    return lambda: run(params)


def horizon(cell: Cell) -> str:
    """Measure the half-life of the gradient before training, on the adding problem."""
    task = TASKS["adding"](STEPS)
    model = build_model([cell], task.data.input_spec, task.objective.head, task.objective.loss, engine="scan")
    batch = jax.jit(lambda key: task.data.sample("train", key, 0, BATCH))(jax.random.key(2))
    found = memory_horizon(model, model.init(jax.random.key(0)), batch, task)
    reach = f"halves every {found.steps:.3g} steps" if found.steps < float("inf") else "does not fall"
    if found.steps != found.steps:
        lag = found.last_lag + 1
        reach = f"is exactly zero {lag} steps before the last" if lag > 0 else "does not pass the last step"
    return f"memory horizon: before training, on adding over {STEPS} steps, the gradient {reach}"
