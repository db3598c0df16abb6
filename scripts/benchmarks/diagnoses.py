"""The cost of diagnoses: gradients in the carry against a training step; Lyapunov spectra and reaches in seconds."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnngen.cells import CELLS
from rnngen.diagnostics import DIAGNOSES, carry_gradients, gradient_flow, lag_norms, lyapunov_spectrum
from rnngen.diagnostics.gradient_flow import summed_loss
from rnngen.models.stack import build_model
from rnngen.tasks import adding
from rnngen.training.optim import build_optimizer
from rnngen.training.state import init_state, train_steps

from .protocol import Bench, Options, Row
from .tables import interval, milliseconds, number, text
from .timing import compared, interleaved

NAMES = ("rnn", "gru", "lstm")
REACHES = ("gradient_flow", "memory", "use", "parameter_gradient_by_lag")  # as a run makes them at a checkpoint


class Case(NamedTuple):
    """A cell on the adding problem; what: "flow", its gradients, its Lyapunov "spectrum", or its "reaches"."""

    cell: str
    t: int
    batch: int
    hidden_dim: int
    what: str = "flow"


def cases(options: Options) -> dict[str, Case]:
    """Return the cases by name, such as `lstm flow`; those of `reaches` are of the size of `configs/sweeps/demo.py`."""
    t, batch, hidden, long = (8, 4, 4, 10) if options.quick else (100, 32, 128, 1000)
    flows = {f"{cell} flow": Case(cell, t, batch, hidden) for cell in NAMES}
    spectra = {f"{cell} spectrum": Case(cell, long, 1, hidden, "spectrum") for cell in NAMES}
    demo = (8, 4, 4) if options.quick else (60, 64, 64)
    return flows | spectra | {f"{cell} reaches": Case(cell, *demo, "reaches") for cell in NAMES}


def measure(case: Case, options: Options) -> list[Row]:
    """Return a row a diagnosis, its time over that of a training step of the same batch on one device."""
    calls = {"flow": _flow, "spectrum": _spectrum, "reaches": _reaches}[case.what](case)
    repeats = options.repeats_or(15 if case.what == "flow" else 3)
    times = interleaved(calls, repeats, warm=1)
    shape = [case.t, case.batch, 2, case.hidden_dim]
    return [{"cell": case.cell, "shape": shape} | row for row in compared(times, {"ratio": "training step"})]


def _flow(case: Case) -> dict[str, Callable[[], Any]]:
    task, cell = adding(case.t), CELLS[case.cell](case.hidden_dim)
    model = build_model([cell], task.data.input_spec, task.objective.head, task.objective.loss)
    optimizer = build_optimizer(steps=1, clip_norm=1.0)
    state = init_state(model, optimizer, 0)
    batch = task.data.sample("valid", jax.random.key(0), jnp.int32(0), case.batch)

    def of_cell(params):
        def loss(ys):
            return summed_loss(model, batch, task)(ys @ params["head"]["kernel"] + params["head"]["bias"])

        return carry_gradients(cell, params["layer_0"], batch.inputs, loss)

    programs = {
        "carry_gradients": of_cell,
        "gradient_flow": lambda p: gradient_flow(model, p, batch, task),
        "lag_norms": lambda p: lag_norms(model, p, batch, task),
    }
    train = jax.jit(train_steps(model, task, optimizer, case.batch, 1))
    calls = {name: _blocking(jax.jit(program), state.params) for name, program in programs.items()}
    return {"training step": _blocking(train, state)} | calls


def _spectrum(case: Case) -> dict[str, Callable[[], Any]]:
    cell = CELLS[case.cell](case.hidden_dim)
    params = cell.init(jax.random.key(0), 2)
    xs = jax.random.normal(jax.random.key(1), (case.t, case.batch, 2))
    return {"all exponents": _blocking(jax.jit(lambda p: lyapunov_spectrum(cell, p, xs).exponents), params)}


def _reaches(case: Case) -> dict[str, Callable[[], Any]]:
    task = adding(case.t)
    model = build_model(CELLS[case.cell](case.hidden_dim), task.data.input_spec, task.objective.head)
    params = model.init(jax.random.key(0))
    batch = task.data.sample("valid", jax.random.key(0), jnp.int32(0), case.batch)
    kinds = {name: DIAGNOSES[name]() for name in REACHES}
    measures = {name: lambda p, kind=kind: kind.measure(model, p, batch, task) for name, kind in kinds.items()}
    return {name: _blocking(jax.jit(measure), params) for name, measure in measures.items()}


def _blocking(program: Callable, argument: Any) -> Callable[[], Any]:
    return lambda: jax.block_until_ready(program(argument))


BENCH = Bench(
    cases=cases,
    measure=measure,
    columns={
        "what": text("contender"),
        "ms": milliseconds(),
        "s": number("seconds", 2),
        "/ training step": interval("ratio"),
    },
)
