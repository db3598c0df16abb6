"""A training step whose gradient through the carry is changed (`train.credit`), beside the plain one."""

import jax
import jax.numpy as jnp

from rnngen.cells import CELLS
from rnngen.cells.credit import CREDITS, with_credit
from rnngen.datasets import TASKS
from rnngen.models.stack import build_model
from rnngen.training import build_optimizer

from . import with_rnngen
from .protocol import Bench, Options, Row
from .steps import RATE, Case
from .tables import interval, milliseconds, text
from .timing import compared, interleaved

PLAIN = "none"
RULES: dict[str, dict] = {
    PLAIN: {},
    "decay": {"half_life": 10.0},
    "renormalise": {},
    "window": {"steps": 10},
    "stochastic": {"rate": 0.25},
}


def cases(options: Options) -> dict[str, Case]:
    """Return the cases by name, such as `lstm t=100`."""
    t, *sizes = (8, 4, 8) if options.quick else (100, 64, 128)
    return {f"{cell} t={t}": Case(cell, t, *sizes) for cell in ("lstm", "gru", "rnn", "mingru", "deltarule")}


def measure(case: Case, options: Options) -> list[Row]:
    """Return a row a credit."""
    task, optimizer = TASKS["adding"](case.t), build_optimizer("adam", RATE, steps=1000, clip_norm=1.0)
    batch = jax.device_get(task.data.sample("train", jax.random.key(1), jnp.zeros((), jnp.int32), case.b))
    steps = {}
    for name, kwargs in RULES.items():
        cell = with_credit(CELLS[case.cell](case.h), CREDITS[name](**kwargs))
        model = build_model([cell], task.data.input_spec, task.objective.head, task.objective.loss)
        params = jax.device_get(model.init(jax.random.key(0)))
        steps[name] = with_rnngen.trainer(name, model, optimizer, params, batch).step
    times = interleaved(steps, options.repeats_or(15))
    facts = {"cell": case.cell, "shape": [case.t, case.b, 2, case.h]}
    return [facts | row for row in compared(times, {"ratio": PLAIN})]


BENCH = Bench(
    cases=cases,
    measure=measure,
    columns={
        "credit": text("contender"),
        "ms a step": milliseconds(),
        "/ the plain step": interval("ratio"),
    },
)
