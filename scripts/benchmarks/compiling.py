"""Seconds to trace and compile forward+backward of one layer, per cell, engine and length."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnngen import unroll
from rnngen.cells import CELLS

from .contenders import known_engines
from .protocol import Bench, Options, Row
from .tables import interval, number, text
from .timing import compared, interleaved

NAMES, ENGINES = ("lstm", "gru", "rnn"), ("scan", "fused", "auto")
BATCH, INPUT_DIM, HIDDEN_DIM = 64, 2, 128


class Case(NamedTuple):
    """A cell unrolled over `t` steps."""

    cell: str
    t: int


def cases(options: Options) -> dict[str, Case]:
    """Return the cases by name, such as `lstm t=100`."""
    lengths = (10,) if options.quick else (100, 1000)
    return {f"{cell} t={t}": Case(cell, t) for cell in NAMES for t in lengths}


def compile_once(case: Case, engine: str) -> None:
    """Compile Python functions to a program, once; call with empty caches."""
    cell = CELLS[case.cell](HIDDEN_DIM)
    params = jax.eval_shape(lambda: cell.init(jax.random.key(0), INPUT_DIM))
    xs = jax.ShapeDtypeStruct((case.t, BATCH, INPUT_DIM), jnp.float32)

    def loss(params, xs):
        return jnp.mean(unroll(cell, params, xs, engine=engine)[1] ** 2)

    jax.jit(jax.value_and_grad(loss)).lower(params, xs).compile()


def measure(case: Case, options: Options) -> list[Row]:
    """Return a row an engine, with the in-memory caches emptied before each compilation and no cache on disk."""
    calls = {name: lambda name=name: compile_once(case, name) for name in known_engines(ENGINES)[0]}
    # The first compilation of a process also starts the compiler.
    times = interleaved(calls, options.repeats_or(3), warm=1, before=jax.clear_caches)
    shape = [case.t, BATCH, INPUT_DIM, HIDDEN_DIM]
    return [{"cell": case.cell, "shape": shape} | row for row in compared(times, {"ratio": "scan"})]


BENCH = Bench(
    cases=cases,
    measure=measure,
    columns={"engine": text("contender"), "s": number("seconds", 3), "/ scan": interval("ratio")},
    notes=lambda options: known_engines(ENGINES)[1],
)
