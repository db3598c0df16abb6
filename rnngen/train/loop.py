"""The training loop: host code around programs that were all compiled before the first step."""

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh, NamedSharding

from rnngen.diagnostics.diagnoses import Diagnosis
from rnngen.lookup import nearest
from rnngen.models import Model
from rnngen.records import RunFolder
from rnngen.tasks import Task
from rnngen.train import checkpoint, sharding
from rnngen.train.diagnose import Diagnose
from rnngen.train.optim import Optimizer
from rnngen.train.regularizers import Regularizer, none
from rnngen.train.state import TrainState, evaluate, init_state, means, train_steps
from rnngen.types import Params


class Schedule(NamedTuple):
    """How long to train, and every how many steps to do what (0: never).

    full_batch: use the whole training set at every step instead of batch_size examples.
    stop_metric: a metric of the task: training ends when the valid split's reaches stop_at (the loss from above, any
      other from below); "": only at `steps`, which is then a cap.
    """

    steps: int
    batch_size: int = 32
    full_batch: bool = False
    log_every: int = 100
    eval_every: int = 500
    eval_batch_size: int = 250
    save_every: int = 500
    stop_metric: str = ""
    stop_at: float = 0.0

    def check(self, task: Task, diagnose_every: int) -> None:
        """Raise ValueError naming the first number that does not fit."""
        for name in ("steps", "batch_size", "log_every", "eval_batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        for name in ("eval_every", "save_every"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        intervals = {name: getattr(self, name) for name in ("steps", "eval_every", "save_every")}
        for name, interval in (intervals | {"diagnose.every": diagnose_every}).items():
            if interval % self.log_every:
                # log_every steps are one program, and a resumed run must log the very same rows.
                raise ValueError(f"{name} must be a multiple of log_every={self.log_every}, got {interval}")
        size = task.sizes["train"]
        if self.full_batch and size is None:
            raise ValueError("full_batch needs a finite training set: give the task a train_size")
        if size is not None and not self.full_batch and self.batch_size > size:
            raise ValueError(f"batch_size must be at most the {size} training examples, got {self.batch_size}")

        if self.stop_metric and self.stop_metric not in (known := task.metric_names()):
            raise ValueError(f"stop_metric: the task has no {self.stop_metric!r}{nearest(self.stop_metric, known)}")
        if self.stop_metric and not self.eval_every:
            raise ValueError("stop_metric is looked at when the valid split is evaluated: set eval_every")

    def stops(self, metrics: dict[str, float]) -> bool:
        """Whether metrics of the valid split end the training."""
        if not self.stop_metric:
            return False
        value = metrics[self.stop_metric]
        return value <= self.stop_at if self.stop_metric == "loss" else value >= self.stop_at

    def examples(self, task: Task) -> int:
        """How many examples make a batch."""
        return task.sizes["train"] if self.full_batch else self.batch_size  # type: ignore[return-value]


class Experiment(NamedTuple):
    """Everything a run needs, as objects."""

    model: Model
    task: Task
    optimizer: Optimizer
    schedule: Schedule
    diagnose: Diagnose
    seed: int
    regularizer: Regularizer = none()


class Programs(NamedTuple):
    """Compiled programs: `log_every` training steps, an evaluation a split, and each diagnosis."""

    train: Callable
    evaluate: dict[str, Callable]
    diagnose: dict[str, Callable]


def compile_programs(experiment: Experiment, state: TrainState, mesh: Mesh) -> Programs:
    """Compile all that a run will call, so that nothing compiles later. state: replicated over the mesh."""
    model, task, optimizer, schedule, diagnose, _, regularizer = experiment
    train = train_steps(model, task, optimizer, schedule.examples(task), schedule.log_every, mesh, regularizer)

    def compiled(function):
        return jax.jit(function).lower(state.params).compile()

    everywhere = NamedSharding(mesh, sharding.REPLICATED)
    return Programs(
        jax.jit(train, donate_argnums=0, out_shardings=everywhere).lower(state).compile(),
        {split: compiled(evaluate(model, task, split, schedule.eval_batch_size, mesh)) for split in ("valid", "test")},
        {
            name: _diagnosing(diagnose.program(model, task, what, mesh), what, state)
            for name, what in diagnose.what.items()
        },
    )


def fit(experiment: Experiment, folder: RunFolder, on_row: Callable[[dict], Any] = lambda row: None) -> dict:
    """Train from the folder's last checkpoint, or from the start, to the end; write and return the result.

    Rows go to the folder's metrics and diagnoses, and to `on_row`. A run that was stopped and is fitted
    again ends with the same state and rows, to the bit, as one that was not, wall-clock fields apart.
    A loss that is not finite ends the run as "diverged".
    """
    began = time.perf_counter()
    state = jax.jit(lambda seed: init_state(experiment.model, experiment.optimizer, seed))(experiment.seed)
    saved = checkpoint.steps(folder.checkpoints)
    folder.rewind(saved[-1] if saved else -1)
    if saved:
        state = checkpoint.load(folder.checkpoints, saved[-1], state)
    mesh = _mesh(experiment)
    state = sharding.replicate(state, mesh)
    run = _Run(experiment, folder, on_row, compile_programs(experiment, state, mesh))
    compile_seconds = time.perf_counter() - began
    state, status = run.to_the_end(state)
    result = run.result(state, status) | {"compile_seconds": compile_seconds}
    folder.finish(result)
    return result


class _Run:
    """The host's side of a run: its clock, and where its rows go."""

    def __init__(self, experiment: Experiment, folder: RunFolder, on_row: Callable, programs: Programs):
        self.experiment, self.folder, self.on_row, self.programs = experiment, folder, on_row, programs
        self.seconds = max((row["seconds"] for row in folder.rows("metrics") if "seconds" in row), default=0.0)

    def to_the_end(self, state: TrainState) -> tuple[TrainState, str]:
        schedule, step = self.experiment.schedule, int(state.step)
        if step == 0:
            self.evaluate(state.params, "valid", 0)
            self.diagnose(state.params, 0)
        diverged = False
        last = step == schedule.steps or self.reached_at() is not None
        while not last:
            state, row = self.train(state, step)
            step, diverged = row["step"], not math.isfinite(row["loss"])
            last = diverged or step == schedule.steps
            if last or _due(schedule.eval_every, step):
                last = schedule.stops(self.evaluate(state.params, "valid", step)) or last
            if last or _due(self.experiment.diagnose.every, step):
                self.diagnose(state.params, step)
            if last or _due(schedule.save_every, step):
                checkpoint.save(self.folder.checkpoints, state)
        return state, "diverged" if diverged else "finished"

    def reached_at(self) -> int | None:
        """The step at which the valid split reached the schedule's goal; None: it has not, or there is none."""
        valid = [row for row in self.folder.rows("metrics") if row["split"] == "valid"]
        return next((row["step"] for row in valid if self.experiment.schedule.stops(row)), None)

    def train(self, state: TrainState, step: int) -> tuple[TrainState, dict]:
        began = time.perf_counter()
        state, sums = self.programs.train(state)
        row = {"step": step + self.experiment.schedule.log_every, "split": "train"} | means(sums)
        spent = time.perf_counter() - began
        self.seconds += spent
        pace = self.experiment.schedule.log_every / spent
        return state, self.write("metrics", row | {"steps_per_second": pace, "seconds": self.seconds})

    def evaluate(self, params: Params, split: str, step: int) -> dict:
        metrics = means(self.programs.evaluate[split](params))
        return self.write("metrics", {"step": step, "split": split} | metrics)

    def diagnose(self, params: Params, step: int) -> None:
        for name, diagnosis in self.experiment.diagnose.what.items():
            began = time.perf_counter()
            record = diagnosis.record(jax.device_get(self.programs.diagnose[name](params)))
            cost = time.perf_counter() - began
            self.write("diagnoses", {"step": step, "what": name, "cost_seconds": cost} | record)

    def write(self, table: str, row: dict) -> dict:
        self.folder.append(table, row)
        self.on_row(row)
        return row

    def result(self, state: TrainState, status: str) -> dict:
        task, step = self.experiment.task, int(state.step)
        test = self.evaluate(state.params, "test", step)
        rows = {row["split"]: row for row in self.folder.rows("metrics") if row["step"] == step}
        diagnoses = self.folder.rows("diagnoses")
        flows = [row["half_life"]["all"]["steps"] for row in diagnoses if row["what"] == "gradient_flow"]
        return {
            "status": status,
            "step": step,
            "reached_at": self.reached_at(),
            "metrics": {split: _numbers(rows[split]) for split in ("train", "valid", "test") if split in rows},
            "baseline": task.expected_baseline("test"),
            "solved": status == "finished" and bool(task.solved(test)),
            "half_life": {"initial": flows[0], "final": flows[-1]} if flows else {},
            "parameters": sum(leaf.size for leaf in jax.tree.leaves(state.params)),
            "train_seconds": self.seconds,
        }


def _diagnosing(program: Callable, diagnosis: Diagnosis, state: TrainState) -> Callable:
    """The compiled program; one that does not share its examples between devices runs on the first alone.

    Not on all with the same numbers: LAPACK's calls on two CPU devices at once wait for each other's threads for ever.
    """
    if diagnosis.batch_axis is not None:
        return jax.jit(program).lower(state.params).compile()
    first = jax.local_devices()[0]
    alone = jax.jit(program).lower(jax.device_put(state.params, first)).compile()
    return lambda params: alone(jax.device_put(params, first))


def _mesh(experiment: Experiment) -> Mesh:
    """The devices that divide every batch of a run."""
    schedule, diagnose = experiment.schedule, experiment.diagnose
    if experiment.regularizer.one_device:
        return sharding.mesh_of(1)
    examples = [diagnose.examples] if any(d.batch_axis is not None for d in diagnose.what.values()) else []
    return sharding.mesh_for(schedule.examples(experiment.task), schedule.eval_batch_size, *examples)


def _due(every: int, step: int) -> bool:
    return every > 0 and step % every == 0


def _numbers(row: dict) -> dict[str, float]:
    return {name: value for name, value in row.items() if name not in ("step", "split", "seconds")}
