"""The host's side of one trial of a training: its folder, its rows, its clock, where it is and how it ends."""

import itertools
import math
import sys
from collections.abc import Callable
from typing import Any

import jax
from jax.experimental import multihost_utils

from rnngen.models.stack import count_params
from rnngen.storage.folder import RunFolder
from rnngen.training import checkpoint
from rnngen.training.compiled import start_state, ways_of
from rnngen.training.experiment import Experiment
from rnngen.training.requests import Trained
from rnngen.training.state import TrainState

Listener = Callable[[dict], Any]
LEAST_BACKOFF = 2.0**-5


class TrialState:
    """One trial.

    Attributes:
      result: empty until it has one.
      step: the step that it goes on from.
      saved: the step of its newest checkpoint, None where there is none.
    """

    def __init__(self, experiment: Experiment, folder: RunFolder, on_row: Listener):
        self.experiment, self.folder, self.on_row = experiment, folder, on_row
        self.compile_seconds, self.save_seconds, self.result = 0.0, 0.0, dict[str, Any]()
        self.ways = ways_of(experiment)
        self.rewind()

    def rewind(self) -> None:
        """Go back to the newest checkpoint that is good, or to before the first step."""
        self.saved, wrong = checkpoint.newest(self.folder.checkpoints)
        self.step = self.saved or 0
        for line in wrong:
            place = "the start" if self.saved is None else f"step {self.saved}"
            print(f"rnngen: {line}; goes on from {place}", file=sys.stderr, flush=True)
        if jax.process_count() > 1:  # all are to see the same files
            multihost_utils.sync_global_devices("rewind")
        if jax.process_index() == 0:
            checkpoint.forget_after(self.folder.checkpoints, self.saved)
        last = -1 if self.saved is None else self.saved
        self.folder.rewind(last)
        # Another process may be the one that rewinds the files.
        self.rows = [row for row in self.folder.rows("metrics") if row["step"] <= last]
        diagnoses = [row for row in self.folder.rows("diagnoses") if row["step"] <= last]
        self.valid = [row for row in self.rows if row["split"] == "valid"]
        self.flows = [_flow(row) for row in diagnoses if row["what"] == "gradient_flow"]
        self.seconds = max((row["seconds"] for row in self.rows if "seconds" in row), default=0.0)

    def state(self) -> TrainState:
        """Where it was stopped, or the state before the first step."""
        state = start_state(self.experiment)
        return state if self.saved is None else checkpoint.load(self.folder.checkpoints, self.saved, state)

    def go_back(self) -> None:
        """Return to the newest checkpoint, and have it say that updates are to be half as large from there."""
        self.rewind()
        state = self.state()
        assert state.backoff is not None  # or the schedule would not have it go back
        checkpoint.save(self.folder.checkpoints, state._replace(backoff=state.backoff / 2))
        self.saved = self.step

    def write(self, table: str, row: dict) -> None:
        """Append a row to a table of the run's, and keep of it what is asked for again."""
        self.folder.append(table, row)
        if table == "metrics":
            self.rows.append(row)
            self.valid += [row] if row["split"] == "valid" else []
        elif row["what"] == "gradient_flow":
            self.flows.append(_flow(row))
        self.on_row(row)

    def write_training(self, step: int, trained: Trained) -> None:
        """Write the row of some updates, the last of which is at `step`."""
        self.seconds += trained.seconds
        pace = {"steps_per_second": trained.steps / trained.seconds}
        if trained.waited is not None:
            pace["data_wait"] = trained.waited / trained.seconds
        row = {"step": step, "split": "train"} | trained.metrics
        self.write("metrics", row | pace | {"seconds": self.seconds})

    def row(self, split: str, step: int) -> dict | None:
        """The latest row of a split at a step; None: there is none."""
        # From the end and no further than the step: it is asked for at every row, and there may be many.
        latest = itertools.takewhile(lambda row: row["step"] >= step, reversed(self.rows))
        return next((row for row in latest if (row["split"], row["step"]) == (split, step)), None)

    def reached_at(self) -> int | None:
        """The step at which the valid split reached the run's goal; None: it has not, or there is none."""
        return next((row["step"] for row in self.valid if self.experiment.train.stops(row)), None)

    def best(self) -> dict:
        """The row of the valid split with the least loss, the first of them; one without a number is no better."""
        finite = [row for row in self.valid if math.isfinite(row["loss"])]
        return min(finite or self.valid, key=lambda row: row["loss"])

    def chosen(self, step: int) -> int:
        """The step whose parameters the run is judged by."""
        return self.best()["step"] if self.experiment.train.select == "best" and self.valid else step

    def out_of_patience(self) -> bool:
        """Whether the valid split has not got better for long enough."""
        patience = self.experiment.train.patience
        return patience > 0 and len(self.valid) - 1 - self.valid.index(self.best()) >= patience

    def status(self, step: int) -> str:
        """How it ends at this step; "": it does not."""
        valid = self.row("valid", step)
        if self.broken(step):
            return "diverged"
        config = self.experiment.train
        if step == config.steps or (valid is not None and (config.stops(valid) or self.out_of_patience())):
            return "finished"
        return "pruned" if valid is not None and self.folder.stop_requested() else ""

    def broken(self, step: int) -> bool:
        """Whether the loss up to a step, or a parameter at it, is not finite."""
        train = self.row("train", step)
        return train is not None and not all(math.isfinite(train.get(name, 0.0)) for name in ("loss", "param_norm"))

    def goes_back(self, step: int) -> bool:
        """Whether it has diverged at this step and the config has it try again."""
        may = self.experiment.train.on_divergence == "restore" and self.broken(step)
        return may and self.row("train", step)["backoff"] > LEAST_BACKOFF  # type: ignore[index]

    def complete(self, step: int) -> bool:
        """Whether nothing is left to train after this step."""
        return step == self.experiment.train.steps or self.reached_at() is not None or self.out_of_patience()

    def finish(self, status: str, step: int) -> None:
        """Write the result of a run that is over."""
        task, test, chosen = self.experiment.task, self.row("test", step), self.chosen(step)
        rows = {"train": self.row("train", step), "valid": self.row("valid", chosen), "test": test}
        self.result = {
            "status": status,
            "step": step,
            "chosen_step": chosen,
            "reached_at": self.reached_at(),
            "metrics": {split: _numbers(row) for split, row in rows.items() if row is not None},
            "baseline": task.expected_baseline("test"),
            "solved": status == "finished" and test is not None and bool(task.objective.solved(test)),
            "half_life": {"initial": self.flows[0], "final": self.flows[-1]} if self.flows else {},
            "parameters": count_params(self.experiment.model),
            "train_seconds": self.seconds,
            "compile_seconds": self.compile_seconds,
            "save_seconds": self.save_seconds,
            "layers_by": ", ".join(self.ways),
        }
        self.folder.finish(self.result)


def _numbers(row: dict) -> dict[str, float]:
    return {name: value for name, value in row.items() if name not in ("step", "split", "seconds")}


def _flow(row: dict) -> float:
    return row["half_life"]["all"]["steps"]
