"""Training of one or several runs as one program: their loops run side by side, equal requests served at once."""

import contextlib
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.storage import preemption
from rnngen.tasks.sampling import key_numbers
from rnngen.training import checkpoint
from rnngen.training.compiled import CompiledSteps, compiled_steps, place
from rnngen.training.prefetch import Prefetcher
from rnngen.training.requests import ORDER, Diagnose, Evaluate, Remember, Request, Save, Train, Trained, Wait
from rnngen.training.state import TrainState, data_key, each_mean
from rnngen.training.trial_state import TrialState

Loop = Callable[[TrialState], Generator[Request, Any, None]]


def train_together(trials: Sequence[TrialState], loop: Loop, how: str) -> None:
    """Train trials that are at the same step, each to its end or to where it goes back.

    Args:
      trials: trials of one program.
      loop: the loop of each trial, see `loop.training`.
      how: see `fit_pack`.
    """
    began, experiment = time.perf_counter(), trials[0].experiment
    states = place(_stack([trial.state() for trial in trials]), experiment)
    steps = compiled_steps(experiment, states, how)
    for trial in trials:
        trial.compile_seconds += (time.perf_counter() - began) / len(trials)
    keys = [key_numbers(data_key(key)) for key in jax.device_get(states.key)]
    with contextlib.closing(Prefetcher(experiment, keys, trials[0].step)) as prefetcher, checkpoint.Saver() as saver:
        _Device(trials, steps, prefetcher, saver, states).serve({trial: loop(trial) for trial in trials})


class _Device:
    """The states of some trials at the same step, and the programs that act on them."""

    def __init__(
        self,
        trials: Sequence[TrialState],
        steps: CompiledSteps,
        prefetcher: Prefetcher,
        saver: checkpoint.Saver,
        states: TrainState,
    ):
        self.trials, self.steps, self.prefetcher, self.saver = list(trials), steps, prefetcher, saver
        self.states, self.step = states, trials[0].step

    def serve(self, loops: dict[TrialState, Generator[Request, Any, None]]) -> None:
        """Answer requests until all loops have returned."""
        asked = {trial: next(loop, None) for trial, loop in loops.items()}
        while waiting := {trial: request for trial, request in asked.items() if request is not None}:
            request = min(waiting.values(), key=lambda request: ORDER.index(type(request)))
            asking = [trial for trial, other in waiting.items() if other == request]
            for trial, answer in zip(asking, self.answers(request, asking), strict=True):
                try:
                    asked[trial] = loops[trial].send(answer)
                except StopIteration:
                    asked[trial] = None

    def answers(self, request: Request, asking: list[TrialState]) -> list[Any]:
        """Serve the same request of some trials, and return the answer to each."""
        match request:
            case Evaluate(split):
                return self.evaluate(split, asking)
            case Remember():
                self.states = self.steps.remember(self.states, self.active(asking))
            case Diagnose(name):
                return [self.diagnose(name, trial) for trial in asking]
            case Save():
                self.save(asking)
            case Wait():
                self.wait()
            case Train(count):
                return self.train(count, asking)
        return [None] * len(asking)

    def train(self, count: int, asking: list[TrialState]) -> list[Trained | None]:
        if preemption.asked():
            return [None] * len(asking)
        began = time.perf_counter()
        fed = self.prefetcher.take(self.step)
        waited = time.perf_counter() - began
        self.states, sums = self.steps.train[count](self.states, self.active(asking), fed)
        rows = each_mean(sums)
        spent = (time.perf_counter() - began) / len(asking)
        self.step += count
        # The last interval must be saved before a row of this one is written: at most one is ever lost.
        self.wait()
        share = None if fed is None else waited / len(asking)
        return [Trained(rows[self.place(trial)], spent, share) for trial in asking]

    def evaluate(self, split: str, asking: list[TrialState]) -> list[dict[str, float]]:
        params = self.states.chosen if split == "test" else self.states.params
        rows = each_mean(self.steps.evaluate[split](params, self.active(asking)))
        return [rows[self.place(trial)] for trial in asking]

    def diagnose(self, name: str, trial: TrialState) -> tuple[dict, float]:
        """Diagnose one trial alone: a diagnosis may need more memory than training does."""
        params = self.steps.pick(self.states, self.place(trial)).params
        began = time.perf_counter()
        measured = jax.device_get(self.steps.diagnose[name](params))
        record = trial.experiment.diagnose.what[name].record(measured)
        return record, time.perf_counter() - began

    def save(self, asking: list[TrialState]) -> None:
        for trial in asking:
            state = self.steps.pick(self.states, self.place(trial))
            if jax.process_count() == 1:
                # Of a replicated state, Orbax would have each device write a part, and compile programs for that.
                state = jax.device_put(state, jax.local_devices()[0])
            self.saver.begin(trial.folder.checkpoints, state)

    def wait(self) -> None:
        """Wait until everything is saved, and record the time that this took."""
        began = time.perf_counter()
        self.saver.wait()
        for trial in self.trials:
            trial.save_seconds += (time.perf_counter() - began) / len(self.trials)

    def place(self, trial: TrialState) -> int:
        return self.trials.index(trial)

    def active(self, trials: list[TrialState]) -> np.ndarray:
        return np.array([trial in trials for trial in self.trials])


def _stack(states: Sequence[TrainState]) -> TrainState:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
