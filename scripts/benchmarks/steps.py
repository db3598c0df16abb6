"""A whole training step of the adding problem's model: forward, backward, clipping, Adam."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.cells import CELLS
from rnngen.datasets import TASKS
from rnngen.models.stack import build_model
from rnngen.training import build_optimizer

from . import with_flax, with_rnngen, with_torch
from .contenders import TOLERANCE, Trainer, check_close, installed
from .protocol import Bench, Options, Row
from .sharding import largest_divisor
from .tables import interval, milliseconds, number, text
from .timing import compared, geometric_mean, interleaved

NAMES, LENGTHS, QUICK_LENGTHS = ("lstm", "gru", "rnn"), (100, 400), (8,)
LIBRARIES: dict[str, Any] = {"torch": with_torch, "flax": with_flax}
OURS, ONE = "rnngen auto, all devices", "rnngen auto"
BASES = {"ratio": OURS, "ratio_one_device": ONE}
RATE = 1e-3
SECOND_TOLERANCE = 0.05


class Case(NamedTuple):
    """A cell of `h` features, trained on a batch of `b` sequences of `t` steps."""

    cell: str
    t: int
    b: int
    h: int


def cases(options: Options) -> dict[str, Case]:
    """Return the cases by name, such as `lstm t=100`."""
    sizes, lengths = ((4, 8), QUICK_LENGTHS) if options.quick else ((64, 128), LENGTHS)
    return {f"{cell} t={t}": Case(cell, t, *sizes) for cell in NAMES for t in lengths}


def trainers(case: Case, devices: int) -> list[Trainer]:
    """Return all trainers that can be timed here, with the same parameters and batch; those of rnngen first."""
    task = TASKS["adding"](case.t)
    model = build_model([CELLS[case.cell](case.h)], task.data.input_spec, task.objective.head, task.objective.loss)
    optimizer = build_optimizer("adam", RATE, steps=1000, clip_norm=1.0)
    params = jax.device_get(model.init(jax.random.key(0)))
    batch = jax.device_get(task.data.sample("train", jax.random.key(1), jnp.zeros((), jnp.int32), case.b))
    found = []
    for name, count in {OURS: largest_divisor(case.b, min(devices, jax.device_count())), ONE: 1}.items():
        found.append(with_rnngen.trainer(name, model, optimizer, params, batch, count))
    for name in installed(LIBRARIES)[0]:
        found += LIBRARIES[name].trainers(case.cell, params, batch.inputs, batch.targets[-1], RATE)
    return found


def check_losses(case: Case, found: list[Trainer]) -> None:
    """Take two steps with each; raise BenchError where the loss before or after the first is not that of `ONE`.

    After it only roughly: torch trains two biases a gate, and Flax's GRU has one less.
    """
    for which, tolerance in (("first", TOLERANCE), ("second", SECOND_TOLERANCE)):
        losses = {trainer.name: float(np.asarray(trainer.step())) for trainer in found}
        for name, loss in losses.items():
            check_close(f"{case.cell} t={case.t}: the {which} loss of {name}", loss, losses[ONE], tolerance)


def measure(case: Case, options: Options) -> list[Row]:
    """Return rows of training steps that were checked to change the loss alike."""
    found = trainers(case, options.devices)
    check_losses(case, found)
    devices = {x.name: x.devices for x in found}
    times = interleaved({x.name: x.step for x in found}, options.repeats_or(15))
    facts = {"cell": case.cell, "shape": [case.t, case.b, 2, case.h]}
    return [facts | row | {"devices": devices[row["contender"]]} for row in compared(times, BASES)]


def summarise(rows: list[Row]) -> list[Row]:
    """Return, per cell, geometric means over lengths of the median paired ratios."""

    def mean(cell, contender, field):
        return geometric_mean([r[field] for r in rows if (r["cell"], r["contender"]) == (cell, contender)])

    return [
        {"cell": cell}
        | {f"{name}_to_all_devices": mean(cell, name, "ratio") for name in LIBRARIES}
        | {f"{name}_to_one_device": mean(cell, name, "ratio_one_device") for name in LIBRARIES}
        | {"torch_1_thread_to_all_devices": mean(cell, with_torch.ONE_THREAD, "ratio")}
        for cell in dict.fromkeys(row["cell"] for row in rows)
    ]


BENCH = Bench(
    cases=cases,
    measure=measure,
    columns={
        "contender": text("contender"),
        "JAX devices": text("devices"),
        "ms a step": milliseconds(),
        "/ ours, all devices": interval("ratio"),
        "/ ours, one device": interval("ratio_one_device"),
    },
    summarise=summarise,
    summary_columns={
        "cell": text("cell"),
        "torch / ours": number("torch_to_all_devices"),
        "torch 1 thread / ours": number("torch_1_thread_to_all_devices"),
        "flax / ours": number("flax_to_all_devices"),
        "torch / ours, 1 device": number("torch_to_one_device"),
        "flax / ours, 1 device": number("flax_to_one_device"),
    },
    notes=lambda options: installed(LIBRARIES)[1],
)
