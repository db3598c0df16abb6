"""Experiment trackers, which get a run's rows while it trains: TensorBoard, W&B, MLflow, or your own.

Your own is a `factory(folder, config) -> tracker`, named as "package.module:factory". The tracker is called with each
row of the metrics (with `step`, `split` and numbers) and of the diagnoses (with `step` and `what`), and its `close`, if
it has one, at the end. Each tracker works in a thread of its own, so that a slow one holds no training up. One that
raises is dropped with a line on stderr, since the run folder has all rows.

A run that is resumed goes on with the same run of W&B or MLflow: its id is in the run's folder.
"""

import contextlib
import fcntl
import functools
import importlib
import importlib.util
import math
import os
import queue
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rnngen.registry import find
from rnngen.storage import preemption
from rnngen.storage.dotted import flatten
from rnngen.storage.jsonl import replace

Tracker = Callable[[dict], Any]
Factory = Callable[[Path, dict], Tracker]
PROJECT = "rnngen"
# Seconds that the end of a run waits for its trackers, and where the process was asked to stop.
CLOSING, STOPPING = 60.0, 5.0
NOT_LOGGED = ("step", "split", "seconds", "what")
MOST_PARAMS, LONGEST_PARAM = 100, 6000  # of MLflow: in one call, and characters of a value


def tensorboard(folder: Path, config: dict) -> Tracker:
    """Write the numbers as scalars to `folder/tensorboard`, named `loss/valid` and so on.

    Args:
      folder: of the run.
      config: of the run, resolved.

    Returns:
      The tracker.
    """
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(str(folder / "tensorboard"))

    def track(row: dict) -> None:
        for name, value in numbers(row).items():
            writer.add_scalar(name, value, row["step"])
        writer.flush()

    track.close = writer.close  # type: ignore[attr-defined]
    return track


def wandb(folder: Path, config: dict) -> Tracker:
    """Log the numbers to Weights & Biases, or with WANDB_MODE=offline to `folder/wandb` for `wandb sync`.

    The project is that of WANDB_PROJECT, else rnngen; the trials of a sweep are a group of its folder's name.

    Args:
      folder: of the run.
      config: of the run, resolved.

    Returns:
      The tracker.
    """
    import wandb as library

    run = library.init(
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        group=_sweep_of(folder),
        name=folder.name,
        id=_stored_id(folder, "wandb") or _store_id(folder, "wandb", secrets.token_hex(4)),
        resume="allow",
        config=config,
        dir=folder,
        reinit="create_new",  # a pack has several at once
        settings=library.Settings(silent=True, console="off"),
    )

    def track(row: dict) -> None:
        run.log(numbers(row), step=row["step"])

    track.close = lambda: run.finish(exit_code=0 if _is_over(folder) else 1)  # type: ignore[attr-defined]
    return track


def mlflow(folder: Path, config: dict) -> Tracker:
    """Log the config and the numbers to MLflow, where MLFLOW_TRACKING_URI says.

    The experiment is that of MLFLOW_EXPERIMENT_NAME, else rnngen; the trials of a sweep have its folder's name as the
    tag "sweep".

    Args:
      folder: of the run.
      config: of the run, resolved.

    Returns:
      The tracker.
    """
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    with _alone("mlflow"):  # its first use makes the tables of a database, and two at once break them
        client = MlflowClient()
        run = _mlflow_run(client, folder)
    known = client.get_run(run).data.params
    params = {name: str(value)[:LONGEST_PARAM] for name, value in flatten(config).items()}
    new = [Param(name, value) for name, value in params.items() if name not in known]
    for first in range(0, len(new), MOST_PARAMS):
        client.log_batch(run, params=new[first : first + MOST_PARAMS])
    for name, value in params.items():
        if known.get(name, value) != value:  # a parameter never changes, and a run may go on to more steps
            client.set_tag(run, name, value)

    def track(row: dict) -> None:
        now = int(time.time() * 1000)
        client.log_batch(run, [Metric(name, value, now, row["step"]) for name, value in numbers(row).items()])

    track.close = lambda: client.set_terminated(  # type: ignore[attr-defined]
        run, "FINISHED" if _is_over(folder) else "KILLED"
    )
    return track


@contextlib.contextmanager
def _alone(name: str) -> Iterator[None]:
    """Let one thread of this user's on this machine into the block at a time."""
    place = os.path.join(tempfile.gettempdir(), f"rnngen-{name}-{os.getuid()}.lock")
    with open(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _mlflow_run(client: Any, folder: Path) -> str:
    """Return the id of the folder's run in MLflow's store, made where there is none."""
    from mlflow.exceptions import MlflowException

    known = _stored_id(folder, "mlflow")
    if known is not None:
        try:
            client.update_run(known, status="RUNNING")
            return known
        except MlflowException:  # deleted, or in another store
            pass
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
    experiment = client.get_experiment_by_name(name)
    try:
        place = experiment.experiment_id if experiment else client.create_experiment(name)
    except MlflowException:  # another worker was first
        place = client.get_experiment_by_name(name).experiment_id
    sweep = _sweep_of(folder)
    made = client.create_run(place, run_name=folder.name, tags={"sweep": sweep} if sweep else None)
    return _store_id(folder, "mlflow", made.info.run_id)


TRACKERS: Mapping[str, Factory] = {"mlflow": mlflow, "tensorboard": tensorboard, "wandb": wandb}
# tracker -> (the module it imports, its extra)
NEEDS = {name: (name, name) for name in TRACKERS} | {"tensorboard": ("tensorboardX", "tensorboard")}


def check(names: Sequence[str]) -> None:
    """Raise ValueError for an unknown name, a tracker whose module is not installed, or W&B without a login."""
    for name in names:
        find(TRACKERS, name, "tracker")
        module, extra = NEEDS.get(name, (None, None))
        if module is not None and not _is_installed(module):
            raise ValueError(f"{module} is not installed: pip install 'rnngen[{extra}]'")
        if name == "wandb":
            _check_login()


def _is_installed(module: str) -> bool:
    found = importlib.util.find_spec(module)
    return found is not None and found.origin is not None  # not a folder of this name here, as W&B makes


def _check_login() -> None:
    """Raise ValueError where W&B would ask for a key, which nobody can give to a worker."""
    import wandb as library

    if os.environ.get("WANDB_MODE", "online") in ("online", "shared") and not library.login(prompt=False):
        raise ValueError("wandb is not logged in: run `wandb login`, or set WANDB_MODE=offline")


def numbers(row: dict) -> dict[str, float]:
    """Return the finite numbers of a row, named `loss/valid` or `gradient_flow/half_life.all.steps`."""
    found = {
        name: value
        for name, value in flatten(row).items()
        if name not in NOT_LOGGED and isinstance(value, int | float) and math.isfinite(value)
    }
    if "split" in row:
        return {f"{name}/{row['split']}": value for name, value in found.items()}
    return {f"{row['what']}/{name}": value for name, value in found.items()}


def _is_over(folder: Path) -> bool:
    return (folder / "result.json").exists()


def _sweep_of(folder: Path) -> str | None:
    """Return the name of the sweep's folder, None for a run that is no trial."""
    home = folder.absolute().parent
    return home.parent.name if home.name == "trials" else None


def _stored_id(folder: Path, tracker: str) -> str | None:
    try:
        return (folder / f"{tracker}.id").read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None


def _store_id(folder: Path, tracker: str, run: str) -> str:
    replace(folder / f"{tracker}.id", f"{run}\n")
    return run


class Trackers:
    """The trackers of one run as a single one, which neither raises nor waits."""

    def __init__(self, names: Sequence[str], folder: Path, config: dict):
        """Open the trackers. Raises ValueError for an unknown name."""
        factories = {name: find(TRACKERS, name, "tracker") for name in names}
        # Their libraries are imported here, since several that are imported at once in threads break each other.
        opened = [name for name in factories if _guarded(name, functools.partial(_import_library, name))]
        self._threads = [_Thread(name, factories[name], folder, config) for name in opened]

    def __call__(self, row: dict) -> None:
        for thread in self._threads:
            thread.rows.put(row)

    def close(self) -> None:
        """Let the trackers write what they have, close those that have a `close`, and wait for them, with a limit."""
        for thread in self._threads:
            thread.rows.put(None)
        limit = STOPPING if preemption.asked() else CLOSING
        until = time.monotonic() + limit
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive():
                print(f"rnngen: tracker {thread.name} is not done after {limit:.0f} s", file=sys.stderr, flush=True)
        self._threads = []


def _import_library(name: str) -> None:
    if name in NEEDS:
        importlib.import_module(NEEDS[name][0])


def _guarded(name: str, action: Callable[[], Any]) -> bool:
    """Return True if an action succeeds; say otherwise that its tracker is dropped."""
    try:
        action()
    except Exception as error:
        print(f"rnngen: tracker {name} dropped: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        return False
    return True


class _Thread(threading.Thread):
    """One tracker at work; ends with the process, should it never come to an end of its own."""

    def __init__(self, name: str, factory: Factory, folder: Path, config: dict):
        super().__init__(name=name, daemon=True)
        self.rows: queue.SimpleQueue[dict | None] = queue.SimpleQueue()
        self._make = lambda: factory(folder, config)
        self.start()

    def run(self) -> None:
        _guarded(self.name, self._track)

    def _track(self) -> None:
        tracker = self._make()
        while (row := self.rows.get()) is not None:
            tracker(row)
        getattr(tracker, "close", lambda: None)()
