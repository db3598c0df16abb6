"""The host's state of one trial: its folder, rows and clock, its progress and its end."""

import itertools
import math
import sys
from collections.abc import Callable
from typing import Any

import jax
from jax.experimental import multihost_utils

from rnngen.models import count_params, count_state
from rnngen.storage.folder import RunFolder
from rnngen.training import checkpoint
from rnngen.training.compiled import start_state, update_flops, ways_of
from rnngen.training.experiment import Experiment
from rnngen.training.requests import Trained
from rnngen.training.state import TrainState

Listener = Callable[[dict], Any]
LEAST_BACKOFF = 2.0**-5


class TrialState:
    """One trial.

    Attributes:
      result: empty until the trial is over.
      step: the step from which it goes on.
      saved: the step of its newest checkpoint, or None.
    """

    def __init__(self, experiment: Experiment, folder: RunFolder, on_row: Listener):
        self.experiment, self.folder, self.on_row = experiment, folder, on_row
        self.compile_seconds, self.save_seconds, self.result = 0.0, 0.0, dict[str, Any]()
        self.ways = ways_of(experiment)
        self.rewind()

    def rewind(self) -> None:
        """Go back to the newest intact checkpoint, or to before the first step."""
        self.saved, wrong = checkpoint.newest(self.folder.checkpoints)
        self.step = self.saved or 0
        for line in wrong:
            place = "the start" if self.saved is None else f"step {self.saved}"
            print(f"rnngen: {line}; goes on from {place}", file=sys.stderr, flush=True)
        if jax.process_count() > 1:  # all must see the same files
            multihost_utils.sync_global_devices("rewind")
        if jax.process_index() == 0:
            checkpoint.forget_after(self.folder.checkpoints, self.saved)
        last = -1 if self.saved is None else self.saved
        self.folder.rewind(last)
        # Another process may rewind the files.
        self.rows = [row for row in self.folder.rows("metrics") if row["step"] <= last]
        diagnoses = [row for row in self.folder.rows("diagnoses") if row["step"] <= last]
        self.valid = [row for row in self.rows if row["split"] == "valid"]
        self.flows = [_flow(row) for row in diagnoses if row["what"] == "gradient_flow"]
        self.seconds = max((row["seconds"] for row in self.rows if "seconds" in row), default=0.0)

    def state(self) -> TrainState:
        """Load the newest checkpoint, or make the state before the first step."""
        state = start_state(self.experiment)
        return state if self.saved is None else checkpoint.load(self.folder.checkpoints, self.saved, state)

    def go_back(self) -> None:
        """Go back to the newest checkpoint, and halve the updates from there, in the checkpoint too."""
        self.rewind()
        state = self.state()
        assert state.backoff is not None  # only "restore" goes back
        checkpoint.save(self.folder.checkpoints, state._replace(backoff=state.backoff / 2))
        self.saved = self.step

    def write(self, table: str, row: dict) -> None:
        """Append a row to a table of the run, and remember the parts that are needed again."""
        self.folder.append(table, row)
        if table == "metrics":
            self.rows.append(row)
            self.valid += [row] if row["split"] == "valid" else []
        elif row["what"] == "gradient_flow":
            self.flows.append(_flow(row))
        self.on_row(row)

    def write_training(self, step: int, count: int, trained: Trained) -> None:
        """Write the row of the updates up to `step`."""
        self.seconds += trained.seconds
        pace = {"steps_per_second": count / trained.seconds}
        if trained.waited is not None:
            pace["data_wait"] = trained.waited / trained.seconds
        row = {"step": step, "split": "train"} | trained.metrics
        self.write("metrics", row | pace | {"seconds": self.seconds})

    def row(self, split: str, step: int) -> dict | None:
        """Return the latest row of a split at a step, or None."""
        # Searched from the end, no further than the step: this is called for each of many rows.
        latest = itertools.takewhile(lambda row: row["step"] >= step, reversed(self.rows))
        return next((row for row in latest if (row["split"], row["step"]) == (split, step)), None)

    def reached_at(self) -> int | None:
        """Return the step at which the valid split reached the run's goal; None if it has not, or there is no goal."""
        return next((row["step"] for row in self.valid if self.experiment.train.stops(row)), None)

    def best(self) -> dict:
        """Return the first row of the valid split with the smallest loss; one that is not finite is never better."""
        finite = [row for row in self.valid if math.isfinite(row["loss"])]
        return min(finite or self.valid, key=lambda row: row["loss"])

    def chosen(self, step: int) -> int:
        """Return the step whose parameters the run is judged by."""
        return self.best()["step"] if self.experiment.train.select == "best" and self.valid else step

    def out_of_patience(self) -> bool:
        """Return True if the valid split has not improved for `patience` evaluations."""
        patience = self.experiment.train.patience
        return patience > 0 and len(self.valid) - 1 - self.valid.index(self.best()) >= patience

    def status(self, step: int) -> str:
        """Return the status with which the run ends at this step; "" if it goes on."""
        valid = self.row("valid", step)
        if self.broken(step):
            return "diverged"
        config = self.experiment.train
        if step == config.steps or (valid is not None and (config.stops(valid) or self.out_of_patience())):
            return "finished"
        return "pruned" if valid is not None and self.folder.stop_requested() else ""

    def broken(self, step: int) -> bool:
        """Return True if the loss up to a step, or a parameter at it, is not finite."""
        train = self.row("train", step)
        return train is not None and not all(math.isfinite(train.get(name, 0.0)) for name in ("loss", "param_norm"))

    def goes_back(self, step: int) -> bool:
        """Return True if the run has diverged at this step and goes back to a checkpoint."""
        may = self.experiment.train.on_divergence == "restore" and self.broken(step)
        return may and self.row("train", step)["backoff"] > LEAST_BACKOFF  # type: ignore[index]

    def complete(self, step: int) -> bool:
        """Return True if nothing is left to train after this step."""
        return step == self.experiment.train.steps or self.reached_at() is not None or self.out_of_patience()

    def finish(self, status: str, step: int) -> None:
        """Write the run's result."""
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
            "state": count_state(self.experiment.model),
            "flops": step * update_flops(self.experiment),
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
