"""Sequences of one's own, to label or to predict numbers from: arrays in memory or in files, or a table."""

import os
from typing import Any

import numpy as np

from rnngen.datasets.examples import as_array, gather
from rnngen.datasets.paths import existing, naming
from rnngen.datasets.sources import Columns, Source, read_source
from rnngen.datasets.store import SCHEME, store, stored
from rnngen.datasets.supervised import LOSSES
from rnngen.datasets.supervised_task import MISSING, supervised_task
from rnngen.storage.provenance import sha256_of
from rnngen.tasks.task import Task
from rnngen.types import check_one_of


def arrays(
    path: str,
    *,
    loss: str = "mse",
    x: tuple = (),
    y: tuple = ("y",),
    sequence: str = "",
    time: str = "",
    groups: str = "",
    split: str = "",
    valid: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    tokens: int = 0,
    per_step: bool | None = None,
    missing: str = "refuse",
    standardize: bool = True,
) -> Task:
    """Predict a target of each sequence, or of each step, from arrays of one's own. Inputs `[t, b, d]`, or tokens.

    `path` is one of:

    - an npz file, or a folder of npy files, with the arrays x `[t, n, d]`, time first (tokens: `[t, n]`); y, a target
      each sequence, `[n]` or `[n, k]`, or each step, `[t, n]` or `[t, n, k]`; and, where lengths differ, mask (bool
      `[t, n]`, False at padding) or lengths (int `[n]`);
    - a long table, CSV or Parquet, a row each step of each sequence, with a column that tells the sequences apart. A
      target that is the same in all rows of each sequence is one of the sequence;
    - what `rnngen.tasks.from_arrays` returned.

    Losses: "mse" and "mae" for numbers, "cross_entropy" for labels, whole numbers from 0, and "bernoulli" for bits. The
    metrics `rmse` and `mae` are in the data's own units, `accuracy` is the share of right labels or bits. Baseline: the
    best constant on train, for the test split: mean, median, frequencies of classes, rates of bits.

    Args:
      path: see above.
      loss: of the predictions.
      x: the name of the array; of a table the input columns, by default all that are nothing else.
      y: the name of the array; of a table the target's column or columns.
      sequence: of a table the column that tells the sequences apart.
      time: of a table the column that orders the rows of a sequence; "": as they are. It is no input.
      groups: array or column with the group of each sequence: no group is in two splits.
      split: array or column with the split of each sequence: train, valid or test; in place of the shares.
      valid, test: shares of the sequences, or of the groups.
      seed: of the shuffle before these shares are cut off.
      tokens: x holds whole numbers from 0 to tokens - 1; 0: x has features.
      per_step: y has a target each step; None: as its shape, or the table, says.
      missing: "refuse" a NaN, or "mask" it: an input becomes 0 once it is scaled, and for each feature there is one
        more that is 1 where it is missing; a target (a label: -1) has weight 0.
      standardize: scale features, and numbers to predict, to mean 0 and standard deviation 1 on train. The loss is of
        scaled numbers.

    Returns:
      The task.

    Raises:
      ValueError: naming the file, array, column or argument that does not fit.
    """
    check_one_of(LOSSES, loss=loss)
    check_one_of(MISSING, missing=missing)
    place = stored(path) if path.startswith(SCHEME) else existing(path)
    names = Columns(x, y, sequence, time, groups, split)
    files = sorted(place.glob("*.npy")) if place.is_dir() else [place]
    facts = {"files": {file.name: sha256_of(file) for file in files}}
    how: dict[str, Any] = {"valid": valid, "test": test, "seed": seed, "tokens": tokens}
    how |= {"missing": missing == "mask", "standardize": standardize, "facts": facts}
    with naming(place):
        return supervised_task(read_source(place, names, tokens, per_step, loss), loss, **how)


def from_arrays(
    x: Any,
    y: Any,
    *,
    loss: str = "mse",
    mask: Any = None,
    lengths: Any = None,
    groups: Any = None,
    split: Any = None,
    valid: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    tokens: int = 0,
    per_step: bool | None = None,
    missing: str = "refuse",
    standardize: bool = True,
    folder: str | os.PathLike | None = None,
) -> dict:
    """Make a task of arrays in memory, as a config names it: `config.task = rnngen.tasks.from_arrays(x, y)`.

    The arrays are written once, to a file named by its checksum in the user's data folder (see `datasets.store`), so
    that a run goes on after a restart, and the workers of a sweep find them. `rnngen.config.build_task` makes the Task.

    Args:
      x: `[t, n, d]`, time first, or a list of n arrays `[t_i, d]`; with `tokens`, `[t, n]` or `[t_i]`.
      y: a target each sequence, `[n]` or `[n, k]`, or each step, `[t, n]` or `[t, n, k]`, or a list like x.
      loss: "mse" or "mae" for numbers, "cross_entropy" for labels, whole numbers from 0, "bernoulli" for bits.
      mask: bool `[t, n]`, False at padding.
      lengths: int `[n]`, in place of a mask.
      groups: `[n]`, the group of each sequence: no group is in two splits.
      split: `[n]`, "train", "valid" or "test" of each sequence, in place of the shares.
      folder: of the file; default: the user's data folder.
      valid, test, seed, tokens, per_step, missing, standardize: see the task `arrays`.

    Returns:
      `{"name": "arrays", "kwargs": {...}}`.

    Raises:
      ValueError: naming the argument that does not fit.
    """
    check_one_of(LOSSES, loss=loss)
    check_one_of(MISSING, missing=missing)
    examples = gather(x, y, mask=mask, lengths=lengths, tokens=tokens, per_step=per_step)
    apart = {name: as_array(name, of) for name, of in (("groups", groups), ("split", split)) if of is not None}
    kwargs: dict[str, Any] = {"valid": valid, "test": test, "seed": seed, "tokens": tokens, "standardize": standardize}
    source = Source.of(examples, apart.get("groups"), apart.get("split"))
    supervised_task(source, loss, **kwargs, missing=missing == "mask")  # refused before anything is written
    offsets = np.concatenate([[0], np.cumsum(examples.lengths)])
    path = store({"x": examples.x, "y": examples.y, "offsets": offsets} | apart, folder)
    kwargs |= {"loss": loss, "per_step": examples.per_step, "missing": missing} | {name: name for name in apart}
    return {"name": "arrays", "kwargs": {"path": path} | kwargs}
