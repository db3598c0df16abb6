"""Small sweeps for the executors that tests compare, and what came of them."""

from rnngen.config import base_config, complete, component
from rnngen.storage.folder import RunFolder
from rnngen.sweep.driver import FixedTrials, run_trials
from rnngen.sweep.executors.local import Local, Slot
from rnngen.sweep.plan import claim, pending, plan, status_of


def config(**train):
    """A run of a moment; a worker needs tests/ on its path to find the task."""
    small = base_config()
    small.cell = component("rnn", hidden_dim=4)
    small.task = component("my_lab:short_latch", length=5)
    small.train.update({"steps": 4, "batch_size": 4, "log_every": 2, "eval_every": 2} | train)
    small.diagnose.examples = 4
    return complete(small)


def sweep(folder, space, executor, **train):
    """Run what is pending of a space in a folder, and return its trials."""
    base = config(**train)
    trials = plan(base, space)
    claim(folder, base, trials)
    packs = [[trial] for trial in pending(folder, trials, retry_failed=False)]
    run_trials(folder, FixedTrials(packs), executor, lambda status, trial: None)
    return trials


def here(workers=2):
    """The local executor, each worker with one device, as those of other executors have."""
    return Local([Slot([], 1)] * workers)


def statuses(folder, trials):
    """The status of each trial."""
    return [status_of(folder, trial) for trial in trials]


def results(folder, trials):
    """Every number that was measured in each trial, but for times."""
    runs = [RunFolder(folder / "trials" / trial.id) for trial in trials]
    return [
        [_untimed(row) for row in [*run.result()["metrics"].values(), *run.rows("metrics"), *run.rows("diagnoses")]]
        for run in runs
    ]


def starts(folder, trials):
    """How often each trial was begun or gone on with."""
    return [len(RunFolder(folder / "trials" / trial.id).rows("provenance")) for trial in trials]


def _untimed(row):
    return {name: value for name, value in row.items() if "second" not in name}
