"""Checkpoints of a training state, each with a checksum of every file: the only file that imports Orbax.

    step_000000500/state/       written by Orbax
    step_000000500/SHA256SUMS   of each of its files, for `sha256sum -c SHA256SUMS`

A checkpoint is written under a temporary name and renamed when complete, so a process that dies leaves no partial one.
Orbax loads a file with a flipped bit without an error, hence the checksums.
"""

import contextlib
import errno
import functools
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import jax
import jax.numpy as jnp
from jax.experimental import multihost_utils

from rnngen.engines.checks import check_like
from rnngen.storage.provenance import sha256_of
from rnngen.training.state import TrainState
from rnngen.types import Params

SUMS = "SHA256SUMS"
_PREFIX, _SAVING, _DOOMED = "step_", "saving_", "deleting_"


class Saver:
    """A thread that saves states, in order, while training goes on; with several processes, saving blocks.

    `wait`, and the end of the `with` block, return when all are on disk, or raise what went wrong: OSError where the
    disk is full.
    """

    def __init__(self) -> None:
        self._pool, self._saves = ThreadPoolExecutor(1, "save"), list[Future]()

    def __enter__(self) -> "Saver":
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown()
        if exception[0] is None:
            self.wait()

    def begin(self, folder: Path, state: TrainState) -> None:
        """Begin to save a state whose arrays nobody will write to."""
        if jax.process_count() > 1:  # processes synchronise in a save, and threads might do so in another order
            save(folder, state)
        else:
            self._saves.append(self._pool.submit(save, folder, state))

    def wait(self) -> None:
        """Wait until everything is saved."""
        saves, self._saves = self._saves, []
        for future in saves:
            future.result()


@functools.cache
def _orbax():
    """Import Orbax, which takes as long as importing JAX, in a process that saves or loads."""
    from orbax.checkpoint import v1

    return v1


def save(folder: Path, state: TrainState, keep: int = 2) -> None:
    """Write `folder/step_<n>` atomically, replacing an existing one, and keep the newest `keep`.

    Raises OSError where the disk is full.
    """
    step = int(state.step)
    writing = (folder / f"{_SAVING}{step}").absolute()
    with _no_space_told(writing):
        _orbax().save(writing / "state", state, overwrite=True)
        if jax.process_index() == 0:  # several processes save one state together
            _seal(writing)
            if _path(folder, step).exists():
                _doom(folder, step)
            writing.rename(_path(folder, step))
            _sync(folder)
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices("saved")
    if jax.process_index() == 0:
        for old in steps(folder)[:-keep]:
            _doom(folder, old)
        tidy(folder)


def tidy(folder: Path) -> None:
    """Delete the remains of a process that died while saving or deleting."""
    for left in litter(folder):
        shutil.rmtree(left)


def litter(folder: Path) -> list[Path]:
    """List what `tidy` deletes."""
    return [*folder.glob(f"{_SAVING}*"), *folder.glob(f"{_DOOMED}*")]


def steps(folder: Path) -> list[int]:
    """Return the steps that have a checkpoint, oldest first."""
    found = [p for p in folder.glob(f"{_PREFIX}*") if p.name[len(_PREFIX) :].isdigit()]
    return sorted(int(p.name[len(_PREFIX) :]) for p in found)


def newest(folder: Path) -> tuple[int | None, list[str]]:
    """Return (the newest step with an intact checkpoint, or None; a line on the damage of each newer one)."""
    wrong: list[str] = []
    for step in reversed(steps(folder)):
        found = damages(folder, step)
        if not found:
            return step, wrong
        wrong.append(f"{_path(folder, step)}: {'; '.join(found[:3])}")
    return None, wrong


def forget_after(folder: Path, step: int | None) -> None:
    """Delete the checkpoints after a step (None: all)."""
    for later in steps(folder):
        if step is None or later > step:
            _doom(folder, later)
    tidy(folder)


def damages(folder: Path, step: int) -> list[str]:
    """List the files of a checkpoint that are not as they were written."""
    path = _path(folder, step)
    try:
        text = (path / SUMS).read_text(encoding="ascii")
        if not text.replace("\n", "").isprintable():
            raise ValueError
        listed = {name: digest for digest, name in (line.split("  ") for line in text.splitlines())}
    except FileNotFoundError:
        return [f"{SUMS} is missing"]
    except ValueError:
        return [f"{SUMS} cannot be read"]
    there = {_name(path, file): file for file in _files(path)}
    wrong = [f"{name} is missing" for name in listed if name not in there]
    wrong += [f"{name} was not written there" for name in there if name not in listed]
    wrong += [f"{name} has changed" for name in there if name in listed and sha256_of(there[name]) != listed[name]]
    return wrong if text.endswith("\n") else [*wrong, f"{SUMS} was cut short"]


def load(folder: Path, step: int, like: TrainState) -> TrainState:
    """Load the state saved at `step`, with the structure, shapes, dtypes and devices of `like`; see `newest`.

    Raises ValueError where the saved state has another structure.
    """
    path = _path(folder, step)
    try:
        return _orbax().load(path / "state", like)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: holds another state than this version trains: {error}".split("\n")[0]) from error


def load_params(folder: Path, step: int, like: Params) -> Params:
    """Load the parameters that the run is judged by from the state saved at `step`: the best, if it holds them.

    Raises ValueError where they do not have the structure and shapes of `like`.
    """
    path = _path(folder, step) / "state"
    saved = _orbax().metadata(path).metadata
    which = "params" if saved["best"] is None else "best"
    check_like("params", saved[which], like)
    context = _orbax().Context()
    context.pytree.loading.partial_load = True
    with context:
        return _orbax().load(path, {which: jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), like)})[which]


def _path(folder: Path, step: int) -> Path:
    return (folder / f"{_PREFIX}{step:09d}").absolute()


def _doom(folder: Path, step: int) -> None:
    """Rename, then delete: an interrupted deletion must not leave a partial checkpoint under a valid name."""
    doomed = folder / f"{_DOOMED}{step}"
    shutil.rmtree(doomed, ignore_errors=True)
    _path(folder, step).rename(doomed)


def _seal(path: Path) -> None:
    """Write the checksums of a folder's files, and sync all of it to disk."""
    lines = [f"{sha256_of(file)}  {_name(path, file)}\n" for file in sorted(_files(path))]
    (path / SUMS).write_text("".join(lines), encoding="ascii")
    for file in [*_files(path), path / SUMS]:
        _sync(file)


def _files(path: Path) -> list[Path]:
    return [file for file in path.rglob("*") if file.is_file() and file != path / SUMS]


def _name(path: Path, file: Path) -> str:
    return file.relative_to(path).as_posix()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _no_space_told(writing: Path) -> Iterator[None]:
    """Delete a partial checkpoint after an error, and raise a plain OSError where the disk is full."""
    try:
        yield
    except Exception as error:
        shutil.rmtree(writing, ignore_errors=True)
        if "no space left" in str(error).lower() or "enospc" in str(error).lower():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(writing.parent)) from error
        raise
