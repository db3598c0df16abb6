"""Checkpoints of a training state: the only file that imports Orbax."""

import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
from orbax.checkpoint import v1 as ocp

from rnngen.engines.checks import check_like
from rnngen.train.state import TrainState
from rnngen.types import Params

_PREFIX, _DOOMED = "step_", "deleting_"


def save(folder: Path, state: TrainState, keep: int = 2) -> None:
    """Write `folder/step_<n>`, which Orbax renames into place when whole, and keep the newest `keep`."""
    ocp.save(_path(folder, int(state.step)), state, overwrite=True)
    if jax.process_index():
        return  # of several processes that save one state together, the first tidies
    for old in steps(folder)[:-keep]:
        # Renamed first: a deletion cut short must not leave half a checkpoint under a good name.
        _path(folder, old).rename(folder / f"{_DOOMED}{old}")
    for doomed in folder.glob(f"{_DOOMED}*"):
        shutil.rmtree(doomed)


def steps(folder: Path) -> list[int]:
    """The steps that have a finished checkpoint, oldest first."""
    found = [p for p in folder.glob(f"{_PREFIX}*") if p.name[len(_PREFIX) :].isdigit()]
    return sorted(int(p.name[len(_PREFIX) :]) for p in found if ocp.is_orbax_checkpoint(p.absolute()))


def load(folder: Path, step: int, like: TrainState) -> TrainState:
    """The state saved at `step`, with the structure, shapes, dtypes and devices of `like`."""
    return ocp.load(_path(folder, step), like)


def load_params(folder: Path, step: int, like: Params) -> Params:
    """The parameters that the run is judged by, of the state saved at `step`: its best where it keeps them.

    Raises ValueError where they have not the structure and shapes of `like`.
    """
    path = _path(folder, step)
    saved = ocp.metadata(path).metadata
    which = "params" if saved["best"] is None else "best"
    check_like("params", saved[which], like)
    context = ocp.Context()
    context.pytree.loading.partial_load = True
    with context:
        return ocp.load(path, {which: jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), like)})[which]


def _path(folder: Path, step: int) -> Path:
    return (folder / f"{_PREFIX}{step:09d}").absolute()
