"""Training of one run or several: a resolved config and a folder in, a trained model and its records out."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from jax.experimental import multihost_utils
from ml_collections import ConfigDict

from rnngen import runtime
from rnngen.config import RunConfig, build, load, resolve
from rnngen.config.check import ConfigError
from rnngen.config.fingerprint import difference
from rnngen.datasets.interface import described
from rnngen.runs.bar import TrainingBar
from rnngen.runs.longer import ended_early, longer, today
from rnngen.runs.run import Run
from rnngen.storage import locks, preemption, trackers
from rnngen.storage.folder import OVER, Follower, RunFolder
from rnngen.storage.trackers import Trackers
from rnngen.training import Experiment, alike, fit, fit_pack

Member = tuple[Experiment, RunFolder, RunConfig]


def train(
    config: ConfigDict | Mapping | str | os.PathLike,
    folder: str | os.PathLike,
    *,
    on_row: Callable[[dict], Any] = lambda row: None,
    log: Sequence[str] = (),
    progress: bool = True,
) -> Run:
    """Train what a config describes, and return the run.

    The same call continues a run that was stopped, by Ctrl-C, a notebook's interrupt or the end of its process, and
    returns a finished one. With more `train.steps` it goes on from the last checkpoint, unless the learning rates
    depend on the number of steps. Outside of the main thread, which alone hears signals, nothing stops it but its
    process's end.

    Args:
      config: a `base_config` with what was changed in it, the same as a dict, or a name for `rnngen.config.load`: of a
        shipped config, of a Python file with `get_config()`, or of a run's folder.
      folder: gets the records and checkpoints.
      on_row: called with each row of the metrics and diagnoses.
      log: names of trackers that get each row too.
      progress: show a progress bar on a terminal or in a notebook; elsewhere there is none.

    Returns:
      The run.

    Raises:
      ConfigError: the config makes no sense, or the folder holds another run.
      Preempted: a KeyboardInterrupt: the run was stopped, and has saved its state.
    """
    if isinstance(config, str | os.PathLike):
        config = load(config)
    resolved = resolve(config)
    trackers.check(log)
    runtime.start(training=True)
    first = jax.process_index() == 0
    try:
        with preemption.listening(own=False), TrainingBar(resolved.train.steps, progress and first) as bar:

            def tell(row: dict) -> None:
                bar.row(row)
                on_row(row)

            run(resolved, folder, tell, log, on_begin=bar.begin)
    except preemption.Preempted as stopped:
        raise stopped.with_traceback(None) from None  # which ran through every part of a training
    return Run(RunFolder(folder))


def run(
    config: RunConfig,
    path: str | os.PathLike,
    on_row: Callable[[dict], Any] = lambda row: None,
    log: Sequence[str] = (),
    take_over: float = 0.0,
    on_begin: Callable[[], Any] = lambda: None,
) -> dict:
    """Train what a resolved config describes in the folder `path`, and return its result.

    An unfinished run in the folder continues from its last checkpoint; a finished one is left as it is, or goes on
    where the config has more steps, see `longer`. Several processes (`runtime.join`) that all call this train one run;
    the first writes.

    Args:
      config: resolved.
      path: of the folder.
      on_row: gets each row.
      log: names of trackers that get each row too.
      take_over: see `locks.hold`.
      on_begin: called before the programs are compiled, where anything is left to train.

    Raises:
      ConfigError: before anything is written, where the config cannot be built, or the folder holds another config or
        cannot be written.
      HeldError: another process has the folder.
      Preempted: this process was asked to stop.
    """
    first = jax.process_index() == 0
    folder = RunFolder(path) if first else Follower(path)
    check_free(folder.path)
    interval = config.train.eval_every
    config, goes_on = longer(folder, config)
    experiment = build(config)
    asked, every = config.train.log_every, experiment.train.log_every
    if first and asked != every:
        print(
            f"rnngen: a row every {every} steps: train.log_every={asked} does not divide every interval",
            file=sys.stderr,
        )
    done = ended_early(folder) if goes_on else claim(folder, config)
    # The other processes must have read the folder before the first writes to it.
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices("claimed")
    if done is not None and done["status"] in OVER:
        return done
    with locks.hold(folder.path, take_over) if first else contextlib.nullcontext():
        _start(folder, config, experiment, **(_go_on(folder, config, interval) if goes_on and first else {}))
        on_begin()
        with contextlib.closing(Trackers(log if first else (), folder.path, config.to_dict())) as track:

            def tell(row: dict) -> None:
                on_row(row)
                track(row)

            return fit(experiment, folder, tell)


def _go_on(folder: RunFolder, config: RunConfig, interval: int) -> dict:
    """Take back the result of a run that goes on to more steps, and return what its provenance says of that.

    interval: between evaluations, as a run of so many steps would have it by default.
    """
    before, result, train = (folder.config() or {})["train"], folder.result(), config.train
    folder.forget()
    kept = f", evaluated every {train.eval_every} as it began" if train.eval_every != interval else ""
    print(f"rnngen: {folder.path}: goes on from {before['steps']} to {train.steps} steps{kept}", file=sys.stderr)
    return {"longer": {"steps": before["steps"], "result": result}}


def run_pack(
    configs: Sequence[RunConfig],
    paths: Sequence[str],
    on_error: Callable[[str, Exception], Any],
    exact: bool = False,
    log: Sequence[str] = (),
    patience: float = 0.0,
    take_over: float = 0.0,
) -> None:
    """Train configs in their folders as `run` does, together those that one program can train.

    Args:
      configs, paths: the configs, and the folder of each.
      on_error: gets the folder and the exception of a run that raises; the others continue.
      exact: train each to the bits that it gives alone on one device; else the faster way.
      log, patience, take_over: see `run` and `locks.hold`.
    """
    left: list[Member] = []
    with contextlib.ExitStack() as held:
        for config, path in zip(configs, paths, strict=True):
            with _telling(on_error, path):
                folder, experiment = RunFolder(path), build(config)
                claim(folder, config)
                held.enter_context(locks.hold(folder.path, take_over, patience))
                done = folder.result()  # of the process that held the folder until now
                if done is None or done["status"] not in OVER:
                    left.append((experiment, folder, config))
        for places in alike([experiment for experiment, _, _ in left]):
            _run_alike([left[place] for place in places], on_error, exact, log)


def _run_alike(members: list[Member], on_error: Callable, exact: bool, log: Sequence[str]) -> None:
    experiments, folders, _ = zip(*members, strict=True)
    for experiment, folder, config in members:
        _start(folder, config, experiment, pack=len(members))
    try:
        with contextlib.ExitStack() as stack:
            each = [stack.enter_context(contextlib.closing(Trackers(log, f.path, c.to_dict()))) for _, f, c in members]
            fit_pack(experiments, folders, each, "map" if exact else "auto")
    except Exception as error:
        if len(members) == 1:
            on_error(os.fspath(folders[0].path), error)
            return
        # Each alone, to find the one that fails; or all together were too large.
        for member in members:
            if member[1].result() is None:
                _run_alike([member], on_error, exact, log)


def _start(folder: RunFolder, config: RunConfig, experiment: Experiment, **facts: Any) -> None:
    facts |= {"data": dict(experiment.task.data.facts)} if experiment.task.data.facts else {}
    folder.start(config, seed=config.seed, device=device(), **facts)
    folder.describe(experiment.task.codec, described(experiment.task))


@contextlib.contextmanager
def _telling(on_error: Callable[[str, Exception], Any], path: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        on_error(path, error)


def claim(folder: RunFolder, config: RunConfig) -> dict | None:
    """Return the folder's result if it has one; raise ConfigError where the folder is another run's or not writable."""
    check_free(folder.path)
    there = folder.config()
    here = config.to_dict()
    if there is not None and there != here and today(there) != config:
        raise ConfigError(f"{folder.path}: holds a run of a different config: {difference(there, here)}")
    return folder.result()


def check_free(path: Path) -> None:
    """Raise ConfigError unless `path` can be a run's folder: writable, and no sweep's."""
    check_writable(path)
    if (path / "sweep.json").exists():
        raise ConfigError(f"{path}: holds a sweep, not a single run")


def check_writable(path: Path) -> None:
    """Raise ConfigError unless `path` is a folder that can be written, or can be made."""
    existing = path
    while not os.path.lexists(existing) and existing != existing.parent:
        existing = existing.parent
    if existing.is_symlink() and not existing.exists():
        raise ConfigError(f"{path}: {existing} is a link to {os.readlink(existing)}, which is not there")
    if not existing.is_dir():
        raise ConfigError(f"{path}: {existing} is not a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ConfigError(f"{path}: {existing} cannot be written")


def device() -> str:
    """Return the first device and the number of devices, in words."""
    first = jax.devices()[0]
    return f"{first.platform} {first.device_kind} x{jax.device_count()}"
