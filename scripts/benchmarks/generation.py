"""Characters a second of a model on one core, and the time that training waits for data from the host."""

import itertools
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import jax
import numpy as np

from rnngen import runtime
from rnngen.cells import CELLS
from rnngen.datasets import CODECS
from rnngen.datasets.corpus import SPLITS, Corpus
from rnngen.datasets.generative import generative
from rnngen.generation.generate import stream
from rnngen.models import StepModel, build_model, stepwise
from rnngen.storage.folder import RunFolder
from rnngen.tasks import Task
from rnngen.training import DiagnosticsConfig, Experiment, TrainConfig, build_optimizer, fit

from .protocol import Bench, Options, Row
from .tables import interval, milliseconds, number, text
from .timing import compared, interleaved

SYMBOLS = "".join(map(chr, range(32, 97)))  # 65, as many as tiny Shakespeare has
YOUNG, OLD = "after 100", "after 10,000"
TRAINING, WAITING = "training", "waiting for data"


class Drawing(NamedTuple):
    """One sequence of characters, drawn `piece` at a time: `timed` of them after the first piece, and after `old`."""

    cell: str
    hidden_dim: int
    piece: int = 100
    timed: int = 1000
    old: int = 10_000


class Feeding(NamedTuple):
    """Training on a made-up corpus like that of a task: sequences, their length, and the sizes of a batch."""

    codec: str
    sequences: int
    length: int
    chunk: int
    batch_size: int
    hidden_dim: int
    log_every: int


FEEDING = {
    "strokes feed": Feeding("strokes", 10_000, 60, 100, 32, 128, 50),
    "speech feed": Feeding("audio", 2000, 3500, 256, 32, 128, 20),
    "mnist feed": Feeding("pixels", 10_000, 784, 0, 32, 128, 5),
}


def cases(options: Options) -> dict[str, Drawing | Feeding]:
    """Return the cases by name, such as `lstm characters` and `speech feed`."""
    if options.quick:
        return {"rnn characters": Drawing("rnn", 4, 5, 10, 20), "mnist feed": Feeding("pixels", 8, 20, 10, 2, 4, 2)}
    return {f"{cell} characters": Drawing(cell, 512) for cell in ("lstm", "gru", "rnn")} | FEEDING


def measure(case: Drawing | Feeding, options: Options) -> list[Row]:
    """Return rows of both ages of a sequence, or of a training's dispatches and their waits."""
    if isinstance(case, Feeding):
        return _feeding(case, options)
    # A process of its own: on how many cores XLA runs is settled when JAX starts.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, initializer=_on_one_core) as pool:
        times = pool.submit(_drawing, case, options.repeats_or(15)).result()
    rows = compared(times, {"ratio": YOUNG})
    shape = {"cell": case.cell, "shape": [1, len(SYMBOLS), case.hidden_dim]}
    return [shape | row | {"a_second": case.timed / row["seconds"]} for row in rows]


def _on_one_core() -> None:
    if runtime.cores():
        os.sched_setaffinity(0, runtime.cores()[-1:])
    jax.config.update("jax_num_cpu_devices", 1)


def _drawing(case: Drawing, repeats: int) -> dict[str, list[float]]:
    """Return {age: seconds of `timed` characters}."""
    model, key = text_model(case.cell, case.hidden_dim), jax.random.key(1)
    params = model.init(jax.random.key(0))
    ages: dict[str, Iterator] = {}

    def begin(age: str, drawn: int) -> None:
        ages[age] = stream(model, params, key, 10**9, piece=case.piece)
        _take(ages[age], drawn // case.piece)

    def draw(age: str) -> Callable[[], None]:
        return lambda: _take(ages[age], case.timed // case.piece)

    begin(OLD, case.old)
    return interleaved({age: draw(age) for age in (YOUNG, OLD)}, repeats, before=lambda: begin(YOUNG, case.piece))


def _take(pieces: Iterator, count: int) -> None:
    for _ in itertools.islice(pieces, count):
        pass


def text_model(cell: str, hidden_dim: int) -> StepModel:
    """Make a model of one layer on 65 symbols, which enter one-hot."""
    spec, head = CODECS["text"](vocabulary=SYMBOLS)[:2]
    return stepwise(build_model(CELLS[cell](hidden_dim), spec, head))


def _feeding(case: Feeding, options: Options) -> list[Row]:
    repeats = options.repeats_or(15)
    with tempfile.TemporaryDirectory() as name:
        folder = RunFolder(name)
        folder.start({})
        fit(_experiment(case, (1 + repeats) * case.log_every), folder)
        rows = [row for row in folder.rows("metrics") if row["split"] == "train"][1:]
    seconds = [case.log_every / row["steps_per_second"] for row in rows]
    waits = [row["data_wait"] * spent for row, spent in zip(rows, seconds, strict=True)]
    shape = {"shape": [case.chunk or case.length, case.batch_size, case.hidden_dim]}
    return [shape | row for row in compared({TRAINING: seconds, WAITING: waits}, {"ratio": TRAINING})]


def _experiment(case: Feeding, steps: int) -> Experiment:
    task = made_up(case)
    cells, goal = [CELLS["lstm"](case.hidden_dim)], task.objective
    model = build_model(cells, task.data.input_spec, goal.head, goal.loss)
    size, every = case.batch_size, case.log_every
    schedule = TrainConfig(steps, size, log_every=every, eval_every=0, save_every=0, eval_batch_size=size)
    return Experiment(
        model, task, build_optimizer(steps=steps, clip_norm=1.0), schedule, DiagnosticsConfig(what={}), seed=0
    )


def made_up(case: Feeding) -> Task:
    """Make a task of random values of the codec, fed from the host, with little to evaluate."""
    draw = np.random.default_rng(0)

    def values(steps: int) -> np.ndarray:
        if case.codec == "audio":
            return draw.integers(0, 256, steps, np.uint8)
        bits = draw.integers(0, 2, (steps, 1), np.uint8)
        if case.codec == "pixels":
            return bits
        return np.concatenate([draw.standard_normal((steps, 2), np.float32), bits.astype(np.float32)], axis=1)

    counts = {split: case.sequences if split == "train" else case.batch_size * 2 for split in SPLITS}
    made = {split: values(count * case.length) for split, count in counts.items()}
    lengths = {split: np.full(count, case.length) for split, count in counts.items()}
    return generative(
        case.codec, CODECS[case.codec], {}, Corpus(made, lengths, {}), chunk=case.chunk, baseline=1.0, on_device=False
    )


BENCH = Bench(
    cases=cases,
    measure=measure,
    columns={
        "": text("contender"),
        "ms": milliseconds(),
        "characters a second": number("a_second", 0),
        "ratio": interval("ratio"),
    },
    notes=lambda options: [
        "characters: seconds of the next 1,000 on one core, and their ratio to those after the first 100",
        "feed: seconds of a dispatch, of which the share `ratio` is waiting for data",
    ],
)
