"""The training of one run, from top to bottom.

`training` is the host's side. It yields requests to the device and is sent the answers, so the same loop trains one
run, or several as one program (`pack.py`), each with its own folder, goal, end and result.
"""

from collections.abc import Generator, Sequence
from typing import Any

from rnngen.storage import preemption
from rnngen.storage.folder import RunFolder
from rnngen.training import checkpoint
from rnngen.training.experiment import Experiment
from rnngen.training.pack import train_together
from rnngen.training.requests import Diagnose, Evaluate, Remember, Request, Save, Train, Wait
from rnngen.training.trial_state import Listener, TrialState

Training = Generator[Request, Any, None]


def fit(experiment: Experiment, folder: RunFolder, on_row: Listener = lambda row: None) -> dict:
    """Train from the folder's last checkpoint, or from the start, to the end; write and return the result.

    A run that was interrupted and resumed ends with the same state and rows, to the bit, as one that was not, except
    for wall-clock fields. A loss or a parameter that is not finite ends the run as "diverged", unless `on_divergence`
    lets it go on; a run whose folder holds a request to stop ends as "pruned". A damaged checkpoint is skipped, with a
    line on stderr that names the file.

    Args:
      experiment: what to train.
      folder: gets the rows of metrics and diagnoses, the checkpoints and the result.
      on_row: called with each row.

    Returns:
      The result, as `result.json` has it.

    Raises:
      Preempted: the process was asked to stop; the state is saved.
    """
    return fit_pack([experiment], [folder], [on_row])[0]


def fit_pack(
    experiments: Sequence[Experiment], folders: Sequence[RunFolder], listeners: Sequence[Listener], how: str = "map"
) -> list[dict]:
    """Do as `fit` for several experiments of one `program`, trained together.

    Times in records are each trial's share. Trials with checkpoints of different steps are trained apart.

    Args:
      experiments: what to train.
      folders: of each trial, as in `fit`.
      listeners: of each trial, as `on_row` in `fit`.
      how: "map", with the same bits as alone on one device; "vmap", all at once; or "auto", the faster of the two.

    Returns:
      The result of each trial.
    """
    trials = [TrialState(*each) for each in zip(experiments, folders, listeners, strict=True)]
    while going := [trial for trial in trials if not trial.result]:
        step = min(trial.step for trial in going)
        train_together([trial for trial in going if trial.step == step], training, how)
    return [trial.result for trial in trials]


def training(trial: TrialState) -> Training:
    """Train one run from the last checkpoint in its folder to its end, or until it goes back to a checkpoint."""
    experiment, step = trial.experiment, trial.step
    config, diagnose_every = experiment.train, experiment.diagnose.every
    if trial.saved is None:
        yield from _judge(trial, 0)
        yield from _diagnose(trial, 0)
    # A run that was interrupted between its last checkpoint and its result has nothing left to train.
    over = trial.complete(step)
    while not over:
        count = config.length(step)
        trained = yield Train(count)
        if trained is None:
            yield from _preempt(trial, step)
        step += count
        trial.write_training(step, count, trained)
        if trial.goes_back(step):
            return trial.go_back()
        if _due(config.eval_every, step) or trial.status(step):
            yield from _judge(trial, step)
        over = bool(trial.status(step))
        if _due(diagnose_every, step) or over:
            yield from _diagnose(trial, step)
        # A state that is not finite must not replace the newest checkpoint.
        if (_due(config.save_every, step) or over) and not trial.broken(step):
            yield Save()
    yield from _end(trial, step)
    return None


def _judge(trial: TrialState, step: int) -> Training:
    """Evaluate the valid split, and remember the parameters if they are the best and `select` wants those."""
    trial.write("metrics", {"step": step, "split": "valid"} | (yield Evaluate("valid")))
    if trial.experiment.train.select == "best" and trial.best()["step"] == step:
        yield Remember()


def _diagnose(trial: TrialState, step: int) -> Training:
    for name in trial.experiment.diagnose.what:
        record, seconds = yield Diagnose(name)
        trial.write("diagnoses", {"step": step, "what": name, "cost_seconds": seconds} | record)


def _preempt(trial: TrialState, step: int) -> Training:
    """Save the state if it is not saved, and stop."""
    if step and step not in checkpoint.steps(trial.folder.checkpoints):
        yield Save()
    yield Wait()
    raise preemption.Preempted(f"at step {step}")


def _end(trial: TrialState, step: int) -> Training:
    """Once the state is saved, evaluate the test split, unless a search pruned the run, and write the result."""
    yield Wait()
    status = trial.status(step) or "finished"
    # A run that was interrupted between its test row and its result has that row already.
    if status != "pruned" and trial.row("test", step) is None:
        trial.write("metrics", {"step": step, "split": "test"} | (yield Evaluate("test")))
    trial.finish(status, step)


def _due(every: int, step: int) -> bool:
    return every > 0 and step % every == 0
