"""The training loop: host code around programs that were all compiled before the first step."""

import contextlib
import itertools
import math
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from rnngen import stopping
from rnngen.records import RunFolder
from rnngen.tasks.task import key_numbers
from rnngen.train import checkpoint
from rnngen.train.experiment import Experiment
from rnngen.train.feed import Feed
from rnngen.train.programs import Programs, place, programs_for, start_state
from rnngen.train.state import TrainState, data_key, each_mean
from rnngen.types import Params

Listener = Callable[[dict], Any]
LEAST_BACKOFF = 2.0**-5


def fit(experiment: Experiment, folder: RunFolder, on_row: Listener = lambda row: None) -> dict:
    """Train from the folder's last checkpoint, or from the start, to the end; write and return the result.

    Rows go to the folder's metrics and diagnoses, and to `on_row`. A run that was stopped and is fitted
    again ends with the same state and rows, to the bit, as one that was not, wall-clock fields apart.
    A loss or a parameter that is not finite ends the run as "diverged", unless the schedule's `on_divergence` has it go
    on; one that its folder is asked to stop ends as "pruned". A checkpoint that is not as it was written is passed
    over, with a line on stderr that names the file. Raises `Preempted`, the state saved, where the process was asked to
    stop.
    """
    return fit_pack([experiment], [folder], [on_row])[0]


def fit_pack(
    experiments: Sequence[Experiment], folders: Sequence[RunFolder], listeners: Sequence[Listener], how: str = "map"
) -> list[dict]:
    """`fit` for experiments that are `alike`, as one program. Each keeps its own folder, goal, end and result.

    how: "map", to the bits that each has alone on one device, "vmap", or "auto", the faster of them. Times in records
    are each trial's share. Trials with checkpoints of different steps are trained apart.
    """
    members = [_Member(*each) for each in zip(experiments, folders, listeners, strict=True)]
    while going := [member for member in members if not member.result]:
        step = min(member.step for member in going)
        _together([member for member in going if member.step == step], how)
    return [member.result for member in members]


def _together(members: list["_Member"], how: str) -> None:
    """Train members that are at the same step, each to its end or to where it goes back."""
    began, experiment = time.perf_counter(), members[0].experiment
    states = place(_stack([member.state() for member in members]), experiment)
    programs = programs_for(experiment, states, how)
    for member in members:
        member.going = True
        member.compile_seconds += (time.perf_counter() - began) / len(members)
    keys = [key_numbers(data_key(key)) for key in jax.device_get(states.key)]
    with contextlib.closing(Feed(experiment, keys, members[0].step)) as feed, checkpoint.Saver() as saver:
        _Run(members, programs, feed, saver).to_the_end(states)


class _Member:
    """The host's side of one trial: its rows, its clock, and its result once it has one."""

    def __init__(self, experiment: Experiment, folder: RunFolder, on_row: Listener):
        self.experiment, self.folder, self.on_row = experiment, folder, on_row
        self.compile_seconds, self.save_seconds, self.result = 0.0, 0.0, dict[str, Any]()
        self.rewind()

    def rewind(self) -> None:
        """Go back to the newest checkpoint that is good, or to before the first step."""
        self.saved, wrong = checkpoint.newest(self.folder.checkpoints)
        self.step, self.going = self.saved or 0, False
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
        self.folder.append(table, row)
        if table == "metrics":
            self.rows.append(row)
            self.valid += [row] if row["split"] == "valid" else []
        elif row["what"] == "gradient_flow":
            self.flows.append(_flow(row))
        self.on_row(row)

    def row(self, split: str, step: int) -> dict | None:
        # From the end and no further than the step: it is asked for at every row, and there may be many.
        latest = itertools.takewhile(lambda row: row["step"] >= step, reversed(self.rows))
        return next((row for row in latest if (row["split"], row["step"]) == (split, step)), None)

    def reached_at(self) -> int | None:
        """The step at which the valid split reached the schedule's goal; None: it has not, or there is none."""
        return next((row["step"] for row in self.valid if self.experiment.schedule.stops(row)), None)

    def best(self) -> dict:
        """The row of the valid split with the least loss, the first of them; one without a number is no better."""
        finite = [row for row in self.valid if math.isfinite(row["loss"])]
        return min(finite or self.valid, key=lambda row: row["loss"])

    def chosen(self, step: int) -> int:
        """The step whose parameters the run is judged by."""
        return self.best()["step"] if self.experiment.schedule.select == "best" and self.valid else step

    def out_of_patience(self) -> bool:
        """Whether the valid split has not got better for long enough."""
        patience = self.experiment.schedule.patience
        return patience > 0 and len(self.valid) - 1 - self.valid.index(self.best()) >= patience

    def status(self, step: int) -> str:
        """How it ends at this step; "": it does not."""
        valid = self.row("valid", step)
        if self.broken(step):
            return "diverged"
        schedule = self.experiment.schedule
        if step == schedule.steps or (valid is not None and (schedule.stops(valid) or self.out_of_patience())):
            return "finished"
        return "pruned" if valid is not None and self.folder.stop_requested() else ""

    def broken(self, step: int) -> bool:
        """Whether the loss up to a step, or a parameter at it, is no number."""
        train = self.row("train", step)
        return train is not None and not all(math.isfinite(train.get(name, 0.0)) for name in ("loss", "param_norm"))

    def goes_back(self, step: int) -> bool:
        """Whether it has diverged at this step and the schedule has it try again."""
        may = self.experiment.schedule.on_divergence == "restore" and self.broken(step)
        return may and self.row("train", step)["backoff"] > LEAST_BACKOFF  # type: ignore[index]

    def complete(self, step: int) -> bool:
        """Whether nothing is left to train after this step."""
        return step == self.experiment.schedule.steps or self.reached_at() is not None or self.out_of_patience()

    def finish(self, status: str, step: int, parameters: int) -> None:
        task, test, chosen = self.experiment.task, self.row("test", step), self.chosen(step)
        rows = {"train": self.row("train", step), "valid": self.row("valid", chosen), "test": test}
        self.result = {
            "status": status,
            "step": step,
            "chosen_step": chosen,
            "reached_at": self.reached_at(),
            "metrics": {split: _numbers(row) for split, row in rows.items() if row is not None},
            "baseline": task.expected_baseline("test"),
            "solved": status == "finished" and test is not None and bool(task.solved(test)),
            "half_life": {"initial": self.flows[0], "final": self.flows[-1]} if self.flows else {},
            "parameters": parameters,
            "train_seconds": self.seconds,
            "compile_seconds": self.compile_seconds,
            "save_seconds": self.save_seconds,
        }
        self.folder.finish(self.result)


class _Run:
    """Members at the same step, and the programs that train them together."""

    def __init__(self, members: list[_Member], programs: Programs, feed: Feed, saver: checkpoint.Saver):
        self.members, self.programs, self.feed, self.saver = members, programs, feed, saver
        self.schedule, self.diagnose_every = members[0].experiment.schedule, members[0].experiment.diagnose.every

    def to_the_end(self, states: TrainState) -> None:
        """Until each member has its result or goes back."""
        step, going = self.members[0].step, list(self.members)
        if fresh := [m for m in going if m.saved is None]:
            states = self.judge(states, 0, fresh)
            self.diagnose(states, 0, fresh)
        # Stopped between its last checkpoint and its result, a run has nothing left to train.
        self.end(states, step, [m for m in going if m.complete(step)])
        while going := [m for m in going if m.going and not m.result]:
            if stopping.asked():
                self.preempt(states, step, going)
            states = self.train(states, step, going)
            step += self.schedule.log_every
            for member in (m for m in going if m.goes_back(step)):
                member.go_back()
            states = self.round_off(states, step, [m for m in going if m.going])

    def round_off(self, states: TrainState, step: int, going: list[_Member]) -> TrainState:
        """Whatever is due at a step after its training."""
        due = _due(self.schedule.eval_every, step)
        states = self.judge(states, step, [m for m in going if due or m.status(step)])
        ending = [m for m in going if m.status(step)]
        self.diagnose(states, step, going if _due(self.diagnose_every, step) else ending)
        # What is broken is no state to go on from: the one before it stays the newest.
        due_or_over = going if _due(self.schedule.save_every, step) else ending
        self.save(states, [m for m in due_or_over if not m.broken(step)])
        self.end(states, step, ending)
        return states

    def preempt(self, states: TrainState, step: int, members: list[_Member]) -> NoReturn:
        """Save what is not, and stop."""
        self.save(states, [m for m in members if step and step not in checkpoint.steps(m.folder.checkpoints)])
        self.wait()
        raise stopping.Preempted(f"at step {step}")

    def train(self, states: TrainState, step: int, members: list[_Member]) -> TrainState:
        began = time.perf_counter()
        fed = self.feed.take(step)
        waited = time.perf_counter() - began
        states, sums = self.programs.train(states, self.active(members), fed)
        rows = each_mean(sums)
        spent = (time.perf_counter() - began) / len(members)
        # Before a row tells of this interval, the last has to be safe: no more than one is ever lost.
        self.wait()
        pace = {"steps_per_second": self.schedule.log_every / spent}
        if fed is not None:
            pace |= {"data_wait": waited / len(members) / spent}
        for member in members:
            member.seconds += spent
            row = {"step": step + self.schedule.log_every, "split": "train"} | rows[self.place(member)]
            member.write("metrics", row | pace | {"seconds": member.seconds})
        return states

    def judge(self, states: TrainState, step: int, members: list[_Member]) -> TrainState:
        """Evaluate the valid split, and keep the parameters that do best on it where the run is judged by those."""
        self.evaluate(states.params, "valid", step, members)
        if self.schedule.select == "last" or not members:
            return states
        return self.programs.remember(states, self.active([m for m in members if m.best()["step"] == step]))

    def evaluate(self, params: Params, split: str, step: int, members: list[_Member]) -> None:
        rows = each_mean(self.programs.evaluate[split](params, self.active(members))) if members else []
        for member in members:
            member.write("metrics", {"step": step, "split": split} | rows[self.place(member)])

    def diagnose(self, states: TrainState, step: int, members: list[_Member]) -> None:
        """One trial at a time: each may need more memory than training does."""
        for member in members:
            params = self.programs.pick(states, self.place(member)).params
            for name, diagnosis in member.experiment.diagnose.what.items():
                began = time.perf_counter()
                record = diagnosis.record(jax.device_get(self.programs.diagnose[name](params)))
                cost = time.perf_counter() - began
                member.write("diagnoses", {"step": step, "what": name, "cost_seconds": cost} | record)

    def save(self, states: TrainState, members: list[_Member]) -> None:
        for member in members:
            state = self.programs.pick(states, self.place(member))
            if jax.process_count() == 1:
                # Of devices that have the same, Orbax would have each write a part, and compile programs for that.
                state = jax.device_put(state, jax.local_devices()[0])
            self.saver.begin(member.folder.checkpoints, state)

    def wait(self) -> None:
        """Return when all is saved, and note how long that took of the training's time."""
        began = time.perf_counter()
        self.saver.wait()
        for member in self.members:
            member.save_seconds += (time.perf_counter() - began) / len(self.members)

    def end(self, states: TrainState, step: int, members: list[_Member]) -> None:
        """Open the test split, but for what a search gave up, and write the results, once the states are safe."""
        if members:
            self.wait()
        how = {member: member.status(step) or "finished" for member in members}
        # Stopped after its row and before its result, a run has that row already.
        unseen = [m for m in members if how[m] != "pruned" and m.row("test", step) is None]
        self.evaluate(states.chosen, "test", step, unseen)
        parameters = sum(math.prod(leaf.shape[1:]) for leaf in jax.tree.leaves(states.params))
        for member in members:
            member.finish(how[member], step, parameters)

    def place(self, member: _Member) -> int:
        return self.members.index(member)

    def active(self, members: list[_Member]) -> np.ndarray:
        return np.array([member in members for member in self.members])


def _stack(states: Sequence[TrainState]) -> TrainState:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)


def _due(every: int, step: int) -> bool:
    return every > 0 and step % every == 0


def _numbers(row: dict) -> dict[str, float]:
    return {name: value for name, value in row.items() if name not in ("step", "split", "seconds")}


def _flow(row: dict) -> float:
    return row["half_life"]["all"]["steps"]
