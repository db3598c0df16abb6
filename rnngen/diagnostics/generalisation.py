"""Metrics at other lengths than those trained on, as Pascanu et al. 2013 measure them (50 to 200 against 5000)."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from rnngen.datasets import TASKS
from rnngen.diagnostics.diagnosis import Diagnosis, Kind
from rnngen.models import Model
from rnngen.plotting.figure import Look, figure
from rnngen.plotting.records import diagnosed
from rnngen.registry import find
from rnngen.tasks import Task
from rnngen.tasks.task import mean_of
from rnngen.types import Array, Params, check_positive

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def length_generalisation_diagnosis(
    task: str, lengths: tuple[int, ...], kwargs: dict | None = None, examples: int = 1000
) -> Diagnosis:
    """Metrics of a task at other lengths than those trained on.

    Args:
      task: its name.
      lengths: to be tried.
      kwargs: the task's other arguments.
      examples: of each length.

    Returns:
      The diagnosis.
    """
    check_positive(examples=examples)
    factory, options = find(TASKS, task, "task"), dict(kwargs or {}) | {"eval_size": examples}
    at_once = math.gcd(examples, 100)

    def measure(model, params, batch, _):
        make_task = lambda length: factory(length, **options)  # noqa: E731
        metrics = evaluate_lengths(model, params, make_task, tuple(lengths), examples, at_once)
        return {"lengths": jnp.asarray(lengths), "metrics": metrics}

    def record(found):
        metrics = {name: values.tolist() for name, values in found["metrics"].items()}
        return {"lengths": found["lengths"].tolist(), "metrics": metrics}

    return Diagnosis(measure, record, steps=False)


def evaluate_lengths(
    model: Model,
    params: Params,
    make_task: Callable[[int], Task],
    lengths: tuple[int, ...],
    examples: int = 1000,
    at_once: int = 100,
) -> dict[str, Array]:
    """Evaluate a model on the test split of a task at several lengths.

    Args:
      model, params: the model.
      make_task: (length) -> Task.
      lengths: the lengths.
      examples: sequences per length.
      at_once: sequences that run together, since their outputs must fit the memory.

    Returns:
      metric -> `[lengths]`, each the mean over `examples` sequences.
    """

    def at(length: int) -> dict[str, Array]:
        task = make_task(length)

        def part(number):
            batch = task.data.sample("test", jax.random.key(0), number, at_once)
            outputs = model.apply(params, batch.inputs, mask=batch.mask, resets=batch.resets)[1]
            return task.objective.loss(outputs, batch)[1]

        sums = jax.lax.map(part, jnp.arange(-(-examples // at_once)))
        return {name: mean_of(jax.tree.map(jnp.sum, pair)) for name, pair in sums.items()}

    found = [at(length) for length in lengths]
    return {name: jnp.stack([metrics[name] for metrics in found]) for name in found[0]}


@figure(
    "Other lengths",
    "Accuracy at other lengths than that trained on. Lines are medians over seeds, bands reach from the least to the "
    "greatest seed.",
)
def length_generalisation(sweep: Any, look: Look) -> "Figure":
    """Draw the accuracy at other lengths than those trained on, after training, with the range over seeds shaded."""
    import pandas as pd

    from rnngen.plotting.style import band, number_axis

    rows = sweep.moments(diagnosed(sweep, "length_generalisation", SHAPE, _unequal))["after training"]
    rows = rows.assign(setting=sweep.setting_names.reindex(rows["trial"]).values)
    rows, colour = look.curves(rows, "setting")
    figure, ((axes,),) = look.panels(1, 1, width=4.2, height=2.6)
    for label, group in rows.groupby("setting", sort=False):
        pairs = zip(group["lengths"], group["metrics"], strict=True)
        seeds = pd.DataFrame([dict(zip(at, of["accuracy"], strict=False)) for at, of in pairs])
        band(axes, str(label), colour[str(label)], seeds.median(), seeds.min(), seeds.max(), marker="o")
    number_axis(axes, {length for lengths in rows["lengths"] for length in lengths})
    axes.set(ylim=(0, 1.05), xlabel="length of the test sequences (steps)", ylabel="accuracy")
    look.legend(figure)
    return figure


SHAPE = {"lengths": [float], "metrics": {"accuracy": [float]}}


def _unequal(row: dict) -> str:
    same = len(row["lengths"]) == len(row["metrics"]["accuracy"])
    return "" if same else " needs as many lengths as metrics.accuracy"


DIAGNOSIS = Kind("length_generalisation", length_generalisation_diagnosis, length_generalisation)
