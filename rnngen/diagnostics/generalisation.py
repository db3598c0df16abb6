"""Metrics at other lengths than those trained on, as Pascanu et al. 2013 measure them (50 to 200 against 5000)."""

import functools
import inspect
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.datasets import TASKS
from rnngen.diagnostics.diagnosis import Diagnosis, Kind
from rnngen.models import Model
from rnngen.plotting.figure import Look, NothingToDraw, check_readable, figure
from rnngen.plotting.records import diagnosed
from rnngen.registry import find
from rnngen.tasks import Task
from rnngen.tasks.losses import mean_of
from rnngen.types import Array, Params, check_positive

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


GENERALISES = 0.9  # of the accuracy at lengths beyond those trained on: the threshold of Delétang et al. 2023


def length_generalisation_diagnosis(
    lengths: tuple[int, ...], task: str | None = None, kwargs: dict | None = None, examples: int = 1000
) -> Diagnosis:
    """Metrics of a task at other lengths than those trained on.

    Args:
      lengths: to be tried.
      task: the name of another task; None: the one that is trained, with its arguments.
      kwargs: the arguments of `task`.
      examples: of each length.

    Returns:
      The diagnosis.

    Raises:
      ValueError: a length or the number of examples is out of range, or the task is unknown.
    """
    check_positive(examples=examples)
    if not lengths:
        raise ValueError("lengths must be at least one length, got none")
    for length in lengths:
        check_positive(lengths=length)
    named = None if task is None else functools.partial(find(TASKS, task, "task"), **(kwargs or {}))
    at_once = math.gcd(examples, 100)

    def make_task(trained, length):
        remake = named or trained.remake
        if remake is None:
            raise ValueError("task must be a name: the one that is trained was not made by a config")
        known = inspect.signature(remake).parameters
        place = next((name for name in ("eval_length", "length") if name in known), None)
        if place is None:
            raise ValueError(f"the task has no argument length to change: its arguments are {', '.join(known)}")
        return remake(**{place: length, "eval_size": examples})

    def measure(model, params, batch, trained):
        make = functools.partial(make_task, trained)
        metrics = evaluate_lengths(model, params, make, tuple(lengths), examples, at_once)
        longest = trained.data.lengths["train"][1]
        return {"lengths": jnp.asarray(lengths), "trained": jnp.int32(longest), "metrics": metrics}

    def record(found):
        metrics = {name: values.tolist() for name, values in found["metrics"].items()}
        return {"lengths": found["lengths"].tolist(), "trained": int(found["trained"]), "metrics": metrics}

    def fits(trained):
        for length in lengths:
            make_task(trained, length)

    return Diagnosis(measure, record, steps=False, fits=fits)


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
    "Accuracy at other lengths than that trained on. Thick lines are medians over seeds, thin ones the seeds, bands "
    "reach from the least to the greatest. In the legend of a single panel, of the accuracy at lengths beyond the "
    "longest in training (dotted; all lengths where that is unknown): the best seed, as is often published, the "
    f"median, and how many seeds are above {100 * GENERALISES:.0f} %.",
)
def length_generalisation(sweep: Any, look: Look) -> "Figure":
    """Draw the accuracy at other lengths than those trained on, after training: every seed, their median and range."""
    from rnngen.plotting.style import literal, number_axis

    rows, colour = look.curves(_after_training(sweep))
    names = list(dict.fromkeys(rows["panel"]))
    check_readable(len(names), len(colour))
    width = 4.2 if len(names) == 1 else 3.0
    figure, grid = look.wrapped_panels(names, min(len(names), 4), "accuracy", width=width, height=2.6)
    for axes, panel in zip(grid, names, strict=True):
        group = rows[rows["panel"] == panel]
        _draw(axes, group, colour, told=len(names) == 1)
        for trained in set(group["trained"].dropna()):
            axes.axvline(trained, color="0.6", linestyle=":", linewidth=0.8)
        number_axis(axes, {length for lengths in group["lengths"] for length in lengths})
        axes.set(ylim=(0, 1.05), xlabel="length of the test sequences (steps)", title=literal(panel) or None)
    look.legend(figure)
    return figure


def _draw(axes: Any, rows: "pd.DataFrame", colour: dict[str, str], told: bool) -> None:
    """Draw the curves of a panel; `told`: with their summary in the legend."""
    import pandas as pd

    from rnngen.plotting.style import band

    for label, group in rows.groupby("curve", sort=False):
        pairs = zip(group["lengths"], group["metrics"], strict=True)
        seeds = pd.DataFrame([dict(zip(at, of["accuracy"], strict=False)) for at, of in pairs])
        text, shade = f"{label}: {_said(_beyond(group))}" if told else str(label), colour[str(label)]
        band(axes, text, shade, seeds.median(), seeds.min(), seeds.max(), marker="o")
        axes.plot(seeds.columns, seeds.T.values, color=shade, alpha=0.4, linewidth=0.5)


def length_table(records: Any) -> "pd.DataFrame":
    """Summarise how far the settings of a sweep generalise: the published protocol beside the spread of all seeds.

    Args:
      records: what `rnngen.open` gives.

    Returns:
      A row a setting: the number of seeds; of their accuracy at the lengths beyond the longest in training, or where
      that is not recorded at all lengths, `best`, `median` and `least`; and `generalise`, the share of seeds above 90 %
      (Delétang et al. 2023).

    Raises:
      NothingToDraw: the records have no accuracy at other lengths after training.
    """
    import pandas as pd

    found = []
    for setting, group in _after_training(records.as_sweep()).groupby("setting", sort=False):
        seeds = _beyond(group)
        spread = {"best": seeds.max(), "median": np.median(seeds), "least": seeds.min()}
        found.append({"setting": setting, "seeds": len(seeds)} | spread | {"generalise": np.mean(seeds > GENERALISES)})
    return pd.DataFrame(found)


def _after_training(sweep: Any) -> "pd.DataFrame":
    rows = sweep.moments(diagnosed(sweep, "length_generalisation", SHAPE, _unequal))["after training"]
    if rows.empty:
        raise NothingToDraw(f"{sweep.path} has no run that trained to an end")
    trained = [_length(row.get("trained")) for row in rows.to_dict("records")]
    return rows.assign(setting=sweep.setting_names.reindex(rows["trial"]).values, trained=trained)


def _length(value: Any) -> float:
    """Return a length as it was recorded; nan where there is none, as in older records."""
    return float(value) if isinstance(value, int | float) and 0 < value < 10**9 else math.nan


def _beyond(rows: "pd.DataFrame") -> np.ndarray:
    """Return the mean accuracy of each seed at the lengths beyond the longest in training; of all, if none is."""
    means = []
    for row in rows.to_dict("records"):
        accuracy = np.array(row["metrics"]["accuracy"], float)
        longer = np.array(row["lengths"]) > row["trained"]
        means.append(accuracy[longer].mean() if longer.any() else accuracy.mean())
    return np.array(means)


def _said(seeds: np.ndarray) -> str:
    above = int(np.sum(seeds > GENERALISES))
    return f"best {seeds.max():.2f}, median {np.median(seeds):.2f}, {above}/{len(seeds)} above {GENERALISES:.1f}"


SHAPE = {"lengths": [float], "metrics": {"accuracy": [float]}}


def _unequal(row: dict) -> str:
    same = len(row["lengths"]) == len(row["metrics"]["accuracy"])
    return "" if same else " needs as many lengths as metrics.accuracy"


DIAGNOSIS = Kind("length_generalisation", length_generalisation_diagnosis, length_generalisation)
