"""The contract of a diagnosis, and helpers for records.

A diagnosis is one file: its measure, its record, its check, and a factory of its `Diagnosis`, whose arguments a config
may give. The whole model is seen as one cell, so that stacked layers need nothing of their own. `DIAGNOSES` in the
package lists the factories by name; the config names one from outside as `package.module:factory`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from rnngen.models import Model
from rnngen.plotting.figure import DrawnFigure
from rnngen.tasks import Task
from rnngen.types import Batch, Params


class Diagnosis(NamedTuple):
    """A measurement of a model on one batch, and its record in the run folder.

    Attributes:
      measure: `(model, params, batch, task) -> tree of arrays`; pure, and jitted by its caller.
      record: (that tree, in NumPy) -> a line of `diagnoses.jsonl`, as lists, numbers and dicts.
      check: (real numbers in the carry of one example, steps of a sequence) -> None; raises ValueError where the
        arguments of the diagnosis do not fit these sizes.
      batch_axis: the axis of the examples in every array of the tree, by which devices share them; None: not shared.
      steps: it runs the model step by step, which a bidirectional model and a control refuse.
      least_examples: the examples that it needs at least.
      fits: (task) -> None; raises ValueError where the arguments of the diagnosis do not fit the task.
    """

    measure: Callable[[Model, Params, Batch, Task], Any]
    record: Callable[[Any], dict]
    check: Callable[[int, int], Any] = lambda size, length: None
    batch_axis: int | None = None
    steps: bool = True
    least_examples: int = 1
    fits: Callable[[Task], Any] = lambda task: None


class Kind(NamedTuple):
    """A kind of diagnosis, as its file declares it: `DIAGNOSIS = Kind(...)`.

    Attributes:
      name: by which a config asks for it, and its records are called.
      make: (arguments of a config) -> Diagnosis.
      plot: the figure of its records, see `plotting.figure`.
    """

    name: str
    make: Callable[..., Diagnosis]
    plot: DrawnFigure | None = None


def flags(batch: Batch) -> dict:
    """Return the mask and the resets of a batch, as `unroll` takes them."""
    return {"mask": batch.existing(), "resets": batch.resets}


def first_examples(batch: Batch, examples: int) -> Batch:
    """Return the batch of the first `examples` examples."""
    return jax.tree.map(lambda x: x[:, :examples], batch)


def spread(values: np.ndarray) -> dict[str, list[float]]:
    """Return median, low and high (10 and 90 %) over the last axis of `[n, examples]`; nan counts as absent."""
    if not values.size:
        return {"median": [], "low": [], "high": []}
    # Order statistics rather than interpolation: between a number and the -inf of an exact zero lies nan.
    low, median, high = np.nanquantile(values, [0.1, 0.5, 0.9], axis=-1, method="lower")
    return {"median": median.tolist(), "low": low.tolist(), "high": high.tolist()}
