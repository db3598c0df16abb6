"""Analysis of a trained run: properties told by single units, inputs that predictions depend on, fixed points."""

import os
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.cells.cell import no_preparation, no_projection
from rnngen.config import build, resolve
from rnngen.config.check import ConfigError, error_at
from rnngen.datasets import Codec
from rnngen.diagnostics import DIAGNOSES
from rnngen.diagnostics.connectivity import connectivity
from rnngen.diagnostics.fixed_points import FixedPoints, constant_input, fixed_points
from rnngen.diagnostics.properties import input_properties, text_properties
from rnngen.diagnostics.selectivity import selectivity
from rnngen.diagnostics.vector_steps import VectorSteps
from rnngen.engines import trees
from rnngen.generation.generate import as_batch
from rnngen.generation.generator import Generator
from rnngen.models import LayerModel, Model, stepwise
from rnngen.runs.restore import codec_of, config_of, trained_params
from rnngen.storage.folder import RunFolder
from rnngen.tasks.losses import nll_loss
from rnngen.tasks.task import Objective
from rnngen.types import Batch, Params, named

STEPS, EXAMPLES = 600, 32  # of an input, unless asked for
SHOWN, PREDICTIONS, SOURCES = 6, 64, 8
LARGEST_CARRY, STARTS = 1024, 64
FIXED = 1e-8  # a speed that is rounding


class Scored(NamedTuple):
    """The part of a task that judges outputs.

    Attributes:
      objective: as in `Task`.
    """

    objective: Objective


class Subject(NamedTuple):
    """A model to analyse, and the batch it is analysed on.

    Attributes:
      model, params: the trained model.
      batch: `[t, b]`.
      task: that judges the batch.
      codec: of the sequences that the model makes; None: it makes none.
      source: origin of the batch, in words.
    """

    model: Model
    params: Params
    batch: Batch
    task: Any
    codec: Codec | None
    source: str


def given_subject(generator: Generator, given: str, steps: int = STEPS) -> Subject:
    """Take a run's model, and a sequence of one's own.

    Args:
      generator: of the run.
      given: the sequence, as `codec.read` takes it.
      steps: of the sequence, at most.

    Returns:
      Model, parameters and batch.

    Raises:
      ConfigError: the sequence cannot be read, or is too short to predict anything of.
    """
    with error_at("inspect"):
        values = generator.read(given)
    if values is None or len(values) < 2:
        raise ConfigError("inspect: there are fewer than two steps to look at")
    model, params, codec = generator.model, generator.params, generator.codec
    objective = Objective(codec.head, nll_loss(codec.head))
    return Subject(model, params, as_batch(model, values[:steps]), Scored(objective), codec, "given")


def load_subject(folder: str | os.PathLike, steps: int = STEPS, trust: bool = False) -> Subject:
    """Take a run's model, and its validation split.

    Args:
      folder: of a run.
      steps: of its validation split, at most.
      trust: see `restore`.

    Returns:
      Model, parameters and batch.

    Raises:
      ConfigError: the folder holds no run, the run has saved nothing, or its task's data are missing.
    """
    run = RunFolder(folder)
    experiment = build(resolve(config_of(run, trust)))
    model, task = experiment.model, experiment.task
    codec = codec_of(run, trust)
    params = trained_params(run, model)
    return Subject(model, params, _of_split(task, steps), task, codec, "validation split")


def _of_split(task: Any, steps: int) -> Batch:
    """Return the first examples of the validation split; of streams, as many chunks as make up the steps."""
    count = min(EXAMPLES, task.data.sizes["valid"] or EXAMPLES)
    draw = lambda n: jax.tree.map(np.asarray, task.batch("valid", jax.random.key(0), n, count))  # noqa: E731
    first = draw(0)
    chunks = 1
    if task.data.chunks is not None:
        chunks = min(-(-steps // len(first.weights)), task.data.chunks("valid", count))
    parts = [first, *(draw(n) for n in range(1, chunks))]
    return jax.tree.map(lambda *leaves: jnp.asarray(np.concatenate(leaves)[:steps]), *parts)


def inspect_run(subject: Subject) -> dict:
    """Do all analyses of a trained model.

    Args:
      subject: what is analysed.

    Returns:
      The record, as plain lists.

    Raises:
      ConfigError: the model is latent, bidirectional, or of a control.
    """
    if not isinstance(subject.model, LayerModel):
        what = subject.model.stepless or "a latent model"
        raise ConfigError(f"inspect: goes through a model layer by layer and step by step, which {what} does not allow")
    states, names = visited(subject)
    loss = float(subject.model.loss(subject.params, subject.batch)[0])
    diagnoses = {
        name: _diagnosed(diagnosis, subject)
        for name, diagnosis in (
            ("gates", DIAGNOSES["gate_statistics"]()),
            ("eigenvalues", DIAGNOSES["recurrent_eigenvalues"]()),
            ("flow", DIAGNOSES["gradient_flow"](SOURCES)),
        )
    }
    return {
        "input": {"source": subject.source, "steps": len(states), "examples": states.shape[1], "loss": loss},
        "units": unit_record(subject, states, names),
        "connectivity": connectivity_record(subject),
        **diagnoses,
        "fixed_points": fixed_point_record(subject, states),
    }


def _diagnosed(diagnosis: Any, subject: Subject) -> dict:
    measure = jax.jit(lambda p, batch: diagnosis.measure(subject.model, p, batch, subject.task))
    return diagnosis.record(jax.tree.map(np.asarray, measure(subject.params, subject.batch)))


def visited(subject: Subject) -> tuple[np.ndarray, list[str]]:
    """Return the carry's floats after each step `[t, b, n]`, and a name for each of the n, such as `layer_0/c[17]`."""

    def run(params, batch):
        cell = stepwise(subject.model).cell
        steps = VectorSteps(cell, params, batch.inputs, mask=batch.existing(), resets=batch.resets)
        return steps.vector(steps.leaving())

    names = [
        f"{name}{part}[{number}]"
        for name, leaf in named(trees.floats(subject.model.carry_shapes))
        for part in (("/real", "/imag") if jnp.issubdtype(leaf.dtype, jnp.complexfloating) else ("",))
        for number in range(leaf.size)
    ]
    return np.asarray(jax.jit(run)(subject.params, subject.batch)), names


def unit_record(subject: Subject, states: np.ndarray, names: list[str]) -> dict:
    """Return the units that tell most of a property, with their activations along the first example."""
    exists = np.asarray(subject.batch.existing())
    inputs = np.asarray(subject.batch.inputs)
    texts = _texts(subject, inputs)
    of_each = [text_properties(texts[n]) if texts else input_properties(inputs[:, n]) for n in range(states.shape[1])]
    shared = [name for name in of_each[0] if all(name in one for one in of_each)]
    together = {name: np.concatenate([one[name][exists[:, n]] for n, one in enumerate(of_each)]) for name in shared}
    flat = np.concatenate([states[exists[:, n], n] for n in range(states.shape[1])])
    found = list(selectivity(flat, together).items())[:SHOWN]
    return {
        "text": texts[0] if texts else None,
        "found": [
            {
                "property": name,
                "unit": names[best.unit],
                "score": best.score,
                "activation": np.round(states[:, 0, best.unit], 4).tolist(),
                "value": np.asarray(of_each[0][name], float).tolist(),
            }
            for name, best in found
        ],
    }


def _texts(subject: Subject, inputs: np.ndarray) -> list[str]:
    """Return the inputs of each example as text, a character a step; none where they are not text."""
    if subject.codec is None or subject.codec.show is None or inputs.ndim != 2:
        return []
    shown = {token: (subject.codec.show(np.array([token])) or "\ufffd")[0] for token in np.unique(inputs)}
    return ["".join(shown[token] for token in inputs[:, n]) for n in range(inputs.shape[1])]


def connectivity_record(subject: Subject) -> dict:
    """Return how much the last predictions of the first example depend on each input, as shares of the largest."""
    single = jax.tree.map(lambda leaf: leaf[:, :1], subject.batch)
    counted = np.flatnonzero(np.asarray(single.weights)[:, 0] > 0)[-PREDICTIONS:]
    first = max(0, int(counted[0]) - PREDICTIONS) if len(counted) > 1 else 0
    run = jax.jit(lambda p, batch, steps: connectivity(stepwise(subject.model), p, batch, subject.task, steps))
    norms = np.asarray(run(subject.params, single, counted))[:, first:, 0]
    largest = norms.max(axis=1, keepdims=True)
    shares = np.divide(norms, largest, out=np.zeros_like(norms), where=largest > 0)
    return {"predictions": counted.tolist(), "first": first, "shares": _rounded(shares)}


def fixed_point_record(subject: Subject, states: np.ndarray) -> dict:
    """Find fixed and slow points under the mean input, in the plane of the largest variance of the states."""
    size = states.shape[-1]
    flat = states[np.asarray(subject.batch.existing())]
    if size > LARGEST_CARRY:
        return {"left_out": f"the carry has {size} numbers, and the search takes at most {LARGEST_CARRY}"}
    with jax.enable_x64(True):
        # The model computes in its own dtype; the search runs on its dynamics in double precision.
        cell = stepwise(subject.model).cell
        prepared = jax.tree.map(_double, cell.prepare(subject.params))
        encoded = np.asarray(cell.project(prepared, subject.batch.inputs), np.float64)
        mean = jnp.asarray(encoded[np.asarray(subject.batch.existing())].mean(axis=0))
        step = constant_input(cell._replace(project=no_projection, prepare=no_preparation), prepared, mean)
        some = np.linspace(0, len(flat) - 1, min(STARTS, len(flat), max(8, 4 * LARGEST_CARRY // size))).astype(int)
        starts = np.asarray(flat[some], np.float64)
        speeds = np.linalg.norm(np.asarray(jax.vmap(step)(jnp.asarray(starts))) - starts, axis=-1)
        typical = float(np.median(speeds))
        found = fixed_points(step, starts, slowest=max(typical / 10, FIXED))
    return {"starts": len(starts), "typical_speed": typical, **_in_a_plane(found, states)}


def _double(leaf: Any) -> Any:
    return leaf.astype(jnp.float64) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf


def _in_a_plane(found: FixedPoints, states: np.ndarray) -> dict:
    flat = states.reshape(-1, states.shape[-1]).astype(np.float64)
    centre = flat.mean(axis=0)
    _, spread, axes = np.linalg.svd(flat - centre, full_matrices=False)
    seen = lambda h: np.pad((h - centre) @ axes[:2].T, ((0, 0), (0, max(0, 2 - len(axes)))))  # noqa: E731
    points = [
        {
            "kind": "fixed" if speed < FIXED else "slow",
            "speed": float(speed),
            "growing": int((np.abs(values) > 1).sum()),
            "eigenvalues": {"real": _rounded(values.real[:100]), "imag": _rounded(values.imag[:100])},
            "time_constant": float(constant),
            "nearest": float(nearest),
            "place": _rounded(place),
        }
        for speed, values, constant, nearest, place in zip(
            found.speeds,
            found.eigenvalues,
            found.time_constants()[:, 0],
            found.nearest,
            seen(found.states),
            strict=True,
        )
    ]
    variance = (spread**2 / max((spread**2).sum(), 1e-300))[:2]
    paths = [_rounded(seen(states[:200, n].astype(np.float64))) for n in range(min(8, states.shape[1]))]
    return {"points": points, "variance": _rounded(variance), "paths": paths}


def _rounded(values: np.ndarray) -> list:
    """Round to five digits, more than a picture shows, and return lists."""
    values = np.asarray(values, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = 10.0 ** (4 - np.floor(np.log10(np.where(values == 0, 1, np.abs(values)))))
    return np.where(np.isfinite(values), np.round(values * size) / size, values).tolist()
