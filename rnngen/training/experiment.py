"""The parts of a run: a model, a task, an optimiser, and the settings of its training."""

import math
from collections.abc import Hashable
from typing import NamedTuple

from rnngen.models import Model
from rnngen.registry import nearest
from rnngen.rules import Rule, bptt
from rnngen.storage.dotted import lower_is_better
from rnngen.tasks import Task
from rnngen.training.diagnose import DiagnosticsConfig
from rnngen.training.optim import Optimizer
from rnngen.training.regularizers import Regularizer, none

POLICIES = ("stop", "skip_update", "restore")
SELECTIONS = ("last", "best")


class TrainConfig(NamedTuple):
    """The settings of a training; intervals are in steps, 0 for never.

    Attributes:
      steps: updates of the run, at most.
      batch_size: examples, or streams, of an update.
      full_batch: use the whole training set at every step instead of batch_size examples.
      log_every: between rows of the train split.
      eval_every: between evaluations of the valid split.
      eval_batch_size: examples, or streams, that are evaluated together.
      save_every: between checkpoints.
      stop_metric: a metric of the task; training ends when it reaches stop_at on the valid split (a loss or an
        error from above, any other from below); "": training ends at `steps`, which is otherwise a maximum.
      stop_at: the value of stop_metric that ends the training.
      select: the parameters that the run is judged by: "last", or "best" by the loss of the valid split.
      patience: evaluations of the valid split without a better loss after which training ends; 0: never.
      on_divergence: the reaction to a loss or parameter that is not finite. "stop": the run ends as "diverged".
        "skip_update": each update that would produce one is skipped. "restore": training goes back to the last
        checkpoint and goes on with updates half as large. The run ends as "diverged" after all if every update of a row
        is skipped, or at the sixth return.
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
        """Replace `log_every` by the number nearest in ratio that divides the other intervals.

        The last row of a run may cover fewer steps.

        Args:
          diagnose_every: steps between diagnoses.

        Returns:
          The settings with another log_every.
        """
        intervals = [n for n in (self.eval_every, self.save_every, diagnose_every) if 0 < n <= self.steps]
        every = math.gcd(*intervals)
        if self.log_every < 1 or every % self.log_every == 0:
            return self
        small = [n for n in range(1, math.isqrt(every) + 1) if every % n == 0]
        divisors = [*small, *(every // n for n in small)]
        return self._replace(log_every=min(divisors, key=lambda n: abs(math.log(n / self.log_every))))

    def length(self, step: int) -> int:
        """Count the steps from this one until the next row, which is at a multiple of `log_every` or the last step.

        Args:
          step: the number of updates so far.

        Returns:
          The number of steps.
        """
        return min(self.log_every - step % self.log_every, self.steps - step)

    def lengths(self, start: int = 0) -> list[int]:
        """List all values of `length` in a run.

        Args:
          start: the step from which it goes on, in a run to more steps perhaps no multiple of `log_every`.

        Returns:
          The numbers, the usual one first.
        """
        last = (self.steps - 1) // self.log_every * self.log_every
        first = [start] if start < self.steps else []
        return list(dict.fromkeys(map(self.length, (0, last, *first))))

    def check(self, task: Task, diagnose_every: int) -> None:
        """Check the numbers against each other and the task.

        Args:
          task: what is trained.
          diagnose_every: steps between diagnoses.

        Raises:
          ValueError: naming the first number that does not fit.
        """
        for name in ("steps", "batch_size", "log_every", "eval_batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        for name in ("eval_every", "save_every", "patience"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        intervals = {"eval_every": self.eval_every, "save_every": self.save_every, "diagnose.every": diagnose_every}
        for name, interval in intervals.items():
            if interval <= self.steps and interval % self.log_every:
                # log_every steps are one program, and a resumed run must write the same rows.
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
        if self.select not in SELECTIONS:
            raise ValueError(f"select must be last or best, got {self.select!r}")
        if self.on_divergence not in POLICIES:
            close = nearest(self.on_divergence, POLICIES)
            raise ValueError(f"on_divergence must be one of {', '.join(POLICIES)}, got {self.on_divergence!r}{close}")
        judging = [name for name in ("stop_metric", "patience") if getattr(self, name)]
        if judging and not self.eval_every:
            raise ValueError(f"{judging[0]} is looked at when the valid split is evaluated: set eval_every")

    def stops(self, metrics: dict[str, float]) -> bool:
        """Tell whether these metrics end the training.

        Args:
          metrics: of the valid split.

        Returns:
          True if the goal is reached.
        """
        if not self.stop_metric:
            return False
        value = metrics[self.stop_metric]
        return value <= self.stop_at if lower_is_better(self.stop_metric) else value >= self.stop_at

    def examples(self, task: Task) -> int:
        """Count the examples of a batch.

        Args:
          task: what is trained.

        Returns:
          The number.
        """
        return task.data.sizes["train"] if self.full_batch else self.batch_size  # type: ignore[return-value]


class Experiment(NamedTuple):
    """Everything a run needs, as objects.

    Attributes:
      model, task, optimizer, train, diagnose, seed, regularizer: the parts.
      program: equal for experiments that can share compiled programs; None: it shares them with no other.
      rule: by which the gradient is found.
    """

    model: Model
    task: Task
    optimizer: Optimizer
    train: TrainConfig
    diagnose: DiagnosticsConfig
    seed: int
    regularizer: Regularizer = none()
    program: Hashable = None
    rule: Rule = bptt()
