"""Engines against the length of the sequence: time and memory of forward+backward, and how they grow."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnngen import unroll
from rnngen.cells import CELLS

from .contenders import known_engines
from .protocol import Bench, Options, Row
from .tables import interval, milliseconds, number, text
from .timing import compared, growth_exponent, interleaved

SHORTEST, LONGEST = 2**7, 2**16
QUICK_SHORTEST, QUICK_LONGEST = 2**3, 2**5
NEWTON_LONGEST = 4096
INPUT_DIM = 8


class Setting(NamedTuple):
    """A cell, the size of one layer of it, and engines for it by the name that a table gives them."""

    cell: str
    h: int
    b: int
    engines: dict[str, str | Mapping]
    flags: bool = False  # with a mask and resets

    @property
    def name(self) -> str:
        """The name in a table."""
        return self.cell + (", mask and resets" if self.flags else "")


_REMAT = {"name": "scan", "kwargs": {"remat": True}}
SETTINGS = (
    Setting("lstm", 32, 8, {"scan": "scan", "scan, remat": _REMAT, "fused": "fused"}),
    Setting("mingru", 16, 1, {"scan": "scan", "associative": "associative"}),
    Setting("mingru", 16, 1, {"scan": "scan", "associative": "associative"}, flags=True),
    Setting("gru", 8, 1, {"scan": "scan", "newton": "newton"}),
)


class Case(NamedTuple):
    """One setting at one length."""

    setting: Setting
    t: int


def shortest(options: Options) -> int:
    """Return the length that the bench begins with."""
    return QUICK_SHORTEST if options.quick else SHORTEST


def cases(options: Options) -> dict[str, Case]:
    """Return the cases by name, such as `lstm h=32 b=8 t=128`; lengths are powers of two."""
    longest = options.longest or (QUICK_LONGEST if options.quick else LONGEST)
    powers = range(shortest(options).bit_length() - 1, longest.bit_length())
    return {
        f"{s.name} h={s.h} b={s.b} t={2**power}": Case(s, 2**power)
        for s in SETTINGS
        if s.cell in CELLS
        for power in powers
    }


def notes(options: Options) -> list[str]:
    engines = {_name(engine) for setting in SETTINGS for engine in setting.engines.values()}
    lines = [f"rnngen has no cell {s.cell!r}: left out" for s in SETTINGS if s.cell not in CELLS]
    return lines + known_engines(sorted(engines))[1] + [f"newton is timed up to t={NEWTON_LONGEST}"]


def compiled(case: Case, engine: str | Mapping):
    """Return (the compiled value_and_grad of mean(ys**2) in the parameters, its arguments)."""
    setting = case.setting
    cell = CELLS[setting.cell](setting.h)
    params = cell.init(jax.random.key(0), INPUT_DIM)
    random = np.random.default_rng(0)
    xs = random.standard_normal((case.t, setting.b, INPUT_DIM), np.float32)
    flags = {"mask": 0.9, "resets": 0.01} if setting.flags else {}
    options = {name: random.random((case.t, setting.b)) < share for name, share in flags.items()}

    def loss(params, xs, options: dict[str, Any]):
        return jnp.mean(unroll(cell, params, xs, engine=engine, **options)[1] ** 2)

    arguments = jax.device_put((params, xs, options), jax.devices()[0])
    return jax.jit(jax.value_and_grad(loss)).lower(*arguments).compile(), arguments


def measure(case: Case, options: Options) -> list[Row]:
    """Return a row an engine: seconds, and `memory_bytes`, XLA's allocation beyond arguments and results."""
    setting, calls, memory = case.setting, {}, {}
    for name, engine in setting.engines.items():
        if not known_engines([_name(engine)])[0] or (_name(engine) == "newton" and case.t > NEWTON_LONGEST):
            continue
        program, arguments = compiled(case, engine)
        memory[name] = program.memory_analysis().temp_size_in_bytes
        calls[name] = lambda program=program, arguments=arguments: jax.block_until_ready(program(*arguments))
    facts = {"cell": setting.name, "h": setting.h, "b": setting.b, "d": INPUT_DIM, "t": case.t}
    rows = compared(interleaved(calls, options.repeats_or(15)), {"ratio": "scan"})
    return [facts | row | {"memory_bytes": memory[row["contender"]]} for row in rows]


def summarise(rows: list[Row]) -> list[Row]:
    """Return, per cell and engine, p of time and of memory growing as t^p over the upper half of the lengths."""
    found = []
    for cell, engine in dict.fromkeys((row["cell"], row["contender"]) for row in rows):
        series = [row for row in rows if (row["cell"], row["contender"]) == (cell, engine)]
        lengths = [row["t"] for row in series]
        exponents = {
            f"{name}_exponent": growth_exponent(lengths, [row[field] for row in series])
            for name, field in {"time": "seconds", "memory": "memory_bytes"}.items()
        }
        found.append({"cell": cell, "contender": engine, "longest": max(lengths)} | exponents)
    return found


def _name(engine: str | Mapping) -> str:
    return engine if isinstance(engine, str) else engine["name"]


BENCH = Bench(
    cases=cases,
    measure=measure,
    columns={
        "engine": text("contender"),
        "ms": milliseconds(),
        "/ scan": interval("ratio"),
        "memory, MB": number("memory_bytes", 3, 1e-6),
    },
    summarise=summarise,
    summary_columns={
        "cell": text("cell"),
        "engine": text("contender"),
        "up to t": text("longest"),
        "time grows as t^": number("time_exponent"),
        "memory grows as t^": number("memory_exponent"),
    },
    notes=notes,
)
