"""Checkpoints of a training state, each with a checksum of every file: the only file that imports Orbax.

    step_000000500/state/       what Orbax writes
    step_000000500/SHA256SUMS   of each of its files, as `sha256sum -c SHA256SUMS` reads it

A checkpoint is written under another name and gets its own when it is whole, so a process that dies leaves none that is
torn. Orbax itself loads a file with a flipped bit without a word, hence the sums.
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
    """Saves states in a thread, one after another, while training goes on; with several processes at once.

    `wait`, and the end of the `with` block, return when all are on disk. They raise what went wrong, OSError where
    there is no space.
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
        """Save a state whose arrays nothing else will write to."""
        if jax.process_count() > 1:  # they meet in a save, and would not in the same order in threads
            save(folder, state)
        else:
            self._saves.append(self._pool.submit(save, folder, state))

    def wait(self) -> None:
        """Return when all is saved."""
        saves, self._saves = self._saves, []
        for future in saves:
            future.result()


@functools.cache
def _orbax():
    """Orbax, which takes as long to import as JAX, for a process that saves or loads."""
    from orbax.checkpoint import v1

    return v1


def save(folder: Path, state: TrainState, keep: int = 2) -> None:
    """Write `folder/step_<n>`, whole or not at all, in place of one that is there, and keep the newest `keep`.

    Raises OSError where there is no space.
    """
    step = int(state.step)
    writing = (folder / f"{_SAVING}{step}").absolute()
    with _no_space_told(writing):
        _orbax().save(writing / "state", state, overwrite=True)
        if jax.process_index() == 0:  # of several processes that save one state together
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
    """Delete what a process left that died in the midst of saving or deleting."""
    for left in litter(folder):
        shutil.rmtree(left)


def litter(folder: Path) -> list[Path]:
    """What `tidy` deletes."""
    return [*folder.glob(f"{_SAVING}*"), *folder.glob(f"{_DOOMED}*")]


def steps(folder: Path) -> list[int]:
    """The steps that have a checkpoint, oldest first."""
    found = [p for p in folder.glob(f"{_PREFIX}*") if p.name[len(_PREFIX) :].isdigit()]
    return sorted(int(p.name[len(_PREFIX) :]) for p in found)


def newest(folder: Path) -> tuple[int | None, list[str]]:
    """(the newest step whose files are what was written, None if there is none; what is wrong with each newer one)."""
    wrong: list[str] = []
    for step in reversed(steps(folder)):
        found = damages(folder, step)
        if not found:
            return step, wrong
        wrong.append(f"{_path(folder, step)}: {'; '.join(found[:3])}")
    return None, wrong


def forget_after(folder: Path, step: int | None) -> None:
    """Delete the checkpoints of later steps than one that is gone back to (None: all)."""
    for later in steps(folder):
        if step is None or later > step:
            _doom(folder, later)
    tidy(folder)


def damages(folder: Path, step: int) -> list[str]:
    """What of a checkpoint is not as it was written, file by file."""
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
    """The state saved at `step`, with the structure, shapes, dtypes and devices of `like`; see `newest`.

    Raises ValueError where what was saved is another structure.
    """
    path = _path(folder, step)
    try:
        return _orbax().load(path / "state", like)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: holds another state than this version trains: {error}".split("\n")[0]) from error


def load_params(folder: Path, step: int, like: Params) -> Params:
    """The parameters that the run is judged by, of the state saved at `step`: its best where it keeps them.

    Raises ValueError where they have not the structure and shapes of `like`.
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
    """Renamed first: a deletion cut short must not leave half a checkpoint under a good name."""
    doomed = folder / f"{_DOOMED}{step}"
    shutil.rmtree(doomed, ignore_errors=True)
    _path(folder, step).rename(doomed)


def _seal(path: Path) -> None:
    """Write the sums of what is in a folder, and have all of it on disk."""
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
    """Leave nothing half written, and say so plainly where the disk is full."""
    try:
        yield
    except Exception as error:
        shutil.rmtree(writing, ignore_errors=True)
        if "no space left" in str(error).lower() or "enospc" in str(error).lower():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(writing.parent)) from error
        raise
