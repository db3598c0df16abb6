"""The training loop: host code around programs that were all compiled before the first step."""

import contextlib
import math
import time
from collections.abc import Sequence
from typing import NoReturn

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.storage import preemption
from rnngen.storage.folder import RunFolder
from rnngen.tasks.task import key_numbers
from rnngen.training import checkpoint
from rnngen.training.experiment import Experiment
from rnngen.training.member import Listener, TrialState
from rnngen.training.prefetch import Prefetcher
from rnngen.training.programs import CompiledSteps, place, programs_for
from rnngen.training.state import TrainState, data_key, each_mean
from rnngen.types import Params


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
    members = [TrialState(*each) for each in zip(experiments, folders, listeners, strict=True)]
    while going := [member for member in members if not member.result]:
        step = min(member.step for member in going)
        _together([member for member in going if member.step == step], how)
    return [member.result for member in members]


def _together(members: list["TrialState"], how: str) -> None:
    """Train members that are at the same step, each to its end or to where it goes back."""
    began, experiment = time.perf_counter(), members[0].experiment
    states = place(_stack([member.state() for member in members]), experiment)
    programs = programs_for(experiment, states, how)
    for member in members:
        member.going = True
        member.compile_seconds += (time.perf_counter() - began) / len(members)
    keys = [key_numbers(data_key(key)) for key in jax.device_get(states.key)]
    with contextlib.closing(Prefetcher(experiment, keys, members[0].step)) as feed, checkpoint.Saver() as saver:
        _Run(members, programs, feed, saver).to_the_end(states)


class _Run:
    """Members at the same step, and the programs that train them together."""

    def __init__(self, members: list[TrialState], programs: CompiledSteps, feed: Prefetcher, saver: checkpoint.Saver):
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
            if preemption.asked():
                self.preempt(states, step, going)
            states = self.train(states, step, going)
            step += self.schedule.length(step)
            for member in (m for m in going if m.goes_back(step)):
                member.go_back()
            states = self.round_off(states, step, [m for m in going if m.going])

    def round_off(self, states: TrainState, step: int, going: list[TrialState]) -> TrainState:
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

    def preempt(self, states: TrainState, step: int, members: list[TrialState]) -> NoReturn:
        """Save what is not, and stop."""
        self.save(states, [m for m in members if step and step not in checkpoint.steps(m.folder.checkpoints)])
        self.wait()
        raise preemption.Preempted(f"at step {step}")

    def train(self, states: TrainState, step: int, members: list[TrialState]) -> TrainState:
        steps = self.schedule.length(step)
        began = time.perf_counter()
        fed = self.feed.take(step)
        waited = time.perf_counter() - began
        states, sums = self.programs.train[steps](states, self.active(members), fed)
        rows = each_mean(sums)
        spent = (time.perf_counter() - began) / len(members)
        # Before a row tells of this interval, the last has to be safe: no more than one is ever lost.
        self.wait()
        pace = {"steps_per_second": steps / spent}
        if fed is not None:
            pace |= {"data_wait": waited / len(members) / spent}
        for member in members:
            member.seconds += spent
            row = {"step": step + steps, "split": "train"} | rows[self.place(member)]
            member.write("metrics", row | pace | {"seconds": member.seconds})
        return states

    def judge(self, states: TrainState, step: int, members: list[TrialState]) -> TrainState:
        """Evaluate the valid split, and keep the parameters that do best on it where the run is judged by those."""
        self.evaluate(states.params, "valid", step, members)
        if self.schedule.select == "last" or not members:
            return states
        return self.programs.remember(states, self.active([m for m in members if m.best()["step"] == step]))

    def evaluate(self, params: Params, split: str, step: int, members: list[TrialState]) -> None:
        rows = each_mean(self.programs.evaluate[split](params, self.active(members))) if members else []
        for member in members:
            member.write("metrics", {"step": step, "split": split} | rows[self.place(member)])

    def diagnose(self, states: TrainState, step: int, members: list[TrialState]) -> None:
        """One trial at a time: each may need more memory than training does."""
        for member in members:
            params = self.programs.pick(states, self.place(member)).params
            for name, diagnosis in member.experiment.diagnose.what.items():
                began = time.perf_counter()
                record = diagnosis.record(jax.device_get(self.programs.diagnose[name](params)))
                cost = time.perf_counter() - began
                member.write("diagnoses", {"step": step, "what": name, "cost_seconds": cost} | record)

    def save(self, states: TrainState, members: list[TrialState]) -> None:
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

    def end(self, states: TrainState, step: int, members: list[TrialState]) -> None:
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

    def place(self, member: TrialState) -> int:
        return self.members.index(member)

    def active(self, members: list[TrialState]) -> np.ndarray:
        return np.array([member in members for member in self.members])


def _stack(states: Sequence[TrainState]) -> TrainState:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)


def _due(every: int, step: int) -> bool:
    return every > 0 and step % every == 0
