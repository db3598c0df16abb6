"""What a run consists of: a model, a task, an optimiser, and when to do what."""

import math
from collections.abc import Hashable
from typing import NamedTuple

from rnngen.models import Model
from rnngen.registry import nearest
from rnngen.tasks import Task
from rnngen.training.diagnose import DiagnosticsConfig
from rnngen.training.optim import Optimizer
from rnngen.training.regularizers import Regularizer, none

POLICIES = ("stop", "skip_update", "restore")


class TrainConfig(NamedTuple):
    """How long to train, and every how many steps to do what (0: never).

    full_batch: use the whole training set at every step instead of batch_size examples.
    stop_metric: a metric of the task: training ends when the valid split's reaches stop_at (the loss from above, any
      other from below); "": only at `steps`, which is then a cap.
    select: the parameters that the run is judged by: "last", or "best" on the valid split by its loss.
    patience: evaluations of the valid split without a better loss after which training ends; 0: never.
    on_divergence: what follows where the loss or a parameter is no number: "stop", and the run ends as "diverged";
      "skip_update", each update that would bring one is passed over; "restore", training goes on from the last
      checkpoint with updates half as large. It ends as "diverged" after all where every update of a row is passed
      over, or it would go back for the sixth time.
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
    select: str = "last"
    patience: int = 0
    on_divergence: str = "stop"

    def fitted(self, diagnose_every: int) -> "TrainConfig":
        """With a `log_every` that divides the other intervals, of all such numbers the nearest in ratio.

        The last row of a run may tell of fewer steps.
        """
        intervals = [n for n in (self.eval_every, self.save_every, diagnose_every) if 0 < n <= self.steps]
        every = math.gcd(*intervals)
        if self.log_every < 1 or every % self.log_every == 0:
            return self
        small = [n for n in range(1, math.isqrt(every) + 1) if every % n == 0]
        divisors = [*small, *(every // n for n in small)]
        return self._replace(log_every=min(divisors, key=lambda n: abs(math.log(n / self.log_every))))

    def length(self, step: int) -> int:
        """How many steps are trained as one from a step on, which is a multiple of `log_every`."""
        return min(self.log_every, self.steps - step)

    def lengths(self) -> list[int]:
        """All that `length` gives in a run, the usual one first."""
        last = (self.steps - 1) // self.log_every * self.log_every
        return list(dict.fromkeys((self.length(0), self.length(last))))

    def check(self, task: Task, diagnose_every: int) -> None:
        """Raise ValueError naming the first number that does not fit."""
        for name in ("steps", "batch_size", "log_every", "eval_batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        for name in ("eval_every", "save_every", "patience"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        intervals = {"eval_every": self.eval_every, "save_every": self.save_every, "diagnose.every": diagnose_every}
        for name, interval in intervals.items():
            if interval <= self.steps and interval % self.log_every:
                # log_every steps are one program, and a resumed run must log the very same rows.
                raise ValueError(f"{name} must be a multiple of log_every={self.log_every}, got {interval}")
        size = task.data.sizes["train"]
        if self.full_batch and size is None:
            raise ValueError("full_batch needs a finite training set: give the task a train_size")
        if task.data.chunks is not None:
            if self.full_batch:
                raise ValueError("full_batch needs whole examples, and this task's are chunks of streams")
            task.check_streams("batch_size", "train", self.batch_size)
            for split in ("valid", "test"):
                task.check_streams("eval_batch_size", split, self.eval_batch_size)
        elif size is not None and not self.full_batch and self.batch_size > size:
            raise ValueError(f"batch_size must be at most the {size} training examples, got {self.batch_size}")
        if self.stop_metric and self.stop_metric not in (known := task.metric_names()):
            raise ValueError(f"stop_metric: the task has no {self.stop_metric!r}{nearest(self.stop_metric, known)}")
        if self.select not in ("last", "best"):
            raise ValueError(f"select must be last or best, got {self.select!r}")
        if self.on_divergence not in POLICIES:
            close = nearest(self.on_divergence, POLICIES)
            raise ValueError(f"on_divergence must be one of {', '.join(POLICIES)}, got {self.on_divergence!r}{close}")
        judging = [name for name in ("stop_metric", "patience") if getattr(self, name)]
        if judging and not self.eval_every:
            raise ValueError(f"{judging[0]} is looked at when the valid split is evaluated: set eval_every")

    def stops(self, metrics: dict[str, float]) -> bool:
        """Whether metrics of the valid split end the training."""
        if not self.stop_metric:
            return False
        value = metrics[self.stop_metric]
        return value <= self.stop_at if self.stop_metric == "loss" else value >= self.stop_at

    def examples(self, task: Task) -> int:
        """How many examples make a batch."""
        return task.data.sizes["train"] if self.full_batch else self.batch_size  # type: ignore[return-value]


class Experiment(NamedTuple):
    """Everything a run needs, as objects.

    program: equal for experiments that the same compiled programs serve, each with its own state;
      None: no others.
    """

    model: Model
    task: Task
    optimizer: Optimizer
    train: TrainConfig
    diagnose: DiagnosticsConfig
    seed: int
    regularizer: Regularizer = none()
    program: Hashable = None
