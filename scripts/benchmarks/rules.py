"""The gradient of a sequence by each learning rule, beside back-propagation: time, and numbers kept for each example.

All are one program of an accumulated gradient that sees the model as one cell, bptt too.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnngen.cells import CELLS
from rnngen.datasets import TASKS
from rnngen.models import build_model, count_params
from rnngen.rules import RULES, Rule
from rnngen.rules.check import influence_of

from .protocol import Bench, Options, Row
from .tables import interval, milliseconds, text
from .timing import compared, interleaved

PLAIN = "bptt"
KWARGS: dict[str, dict] = {"tbptt": {"steps": 10}}
MOST = 2**31  # bytes of the influence of a batch


class Case(NamedTuple):
    """A cell of h units on sequences `[t, b]`."""

    cell: str
    t: int
    b: int
    h: int


def cases(options: Options) -> dict[str, Case]:
    """Return the cases by name, such as `gru h=32`."""
    widths, shape = ((4, 8), (6, 2)) if options.quick else ((16, 32, 64), (50, 16))
    return {f"{cell} h={h}": Case(cell, *shape, h) for cell in ("gru", "lstm", "rnn", "indrnn") for h in widths}


def measure(case: Case, options: Options) -> list[Row]:
    """Return a row a rule."""
    task = TASKS["adding"](case.t)
    model = build_model([CELLS[case.cell](case.h)], task.data.input_spec, task.objective.head, task.objective.loss)
    params = model.init(jax.random.key(0))
    batch = task.data.sample("train", jax.random.key(1), jnp.zeros((), jnp.int32), case.b)
    rules = {name: factory(**KWARGS.get(name, {})) for name, factory in RULES.items()}
    kept = {name: _kept(rule, model, batch.inputs) for name, rule in rules.items()}
    fitting = {name: rule for name, rule in rules.items() if kept[name] * 4 * case.b <= MOST}
    times = interleaved(
        {name: _step(rule, model, task, params, batch) for name, rule in fitting.items()}, options.repeats_or(10)
    )
    facts = {"cell": case.cell, "shape": [case.t, case.b, 2, case.h], "parameters": count_params(model)}
    return [facts | {"kept": kept[row["contender"]]} | row for row in compared(times, {"ratio": PLAIN})]


def _kept(rule: Rule, model, xs) -> int:
    influence = influence_of(rule, model, xs)
    return influence.size if influence else 0


def _step(rule: Rule, model, task, params, batch):
    @jax.jit
    def gradient(params, batch, key):
        loss = lambda ys: task.objective.loss(ys, batch)[0]  # noqa: E731
        return rule.gradient(model, params, batch.inputs, loss, mask=batch.existing(), resets=batch.resets, key=key)

    return lambda: jax.block_until_ready(gradient(params, batch, jax.random.key(2)))


BENCH = Bench(
    cases=cases,
    measure=measure,
    columns={
        "rule": text("contender"),
        "parameters": text("parameters"),
        "numbers kept an example": text("kept"),
        "ms a gradient": milliseconds(),
        "/ bptt": interval("ratio"),
    },
)
