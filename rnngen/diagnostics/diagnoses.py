"""Diagnoses by name, as a config asks for them: each measures a model on one batch and makes a record of it.

The functions beside this file do the measuring; here stands what a run does with them. The whole model is seen as one
cell, so that stacked layers need nothing of their own.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnngen import diagnostics
from rnngen.cells.cell import KERNEL
from rnngen.datasets import TASKS
from rnngen.diagnostics import horizon
from rnngen.diagnostics.checks import check_count, check_lags, check_steps, check_warmup
from rnngen.diagnostics.eigenvalues import eigenvalues, kernel_eigenvalues, step_jacobians
from rnngen.diagnostics.generalisation import evaluate_lengths
from rnngen.models.stack import Model
from rnngen.registry import find
from rnngen.tasks import Task
from rnngen.types import Batch, Params, check_positive


class Diagnosis(NamedTuple):
    """One diagnosis.

    measure: (model, params, batch, task) -> tree of arrays; jitted.
    record: (that tree, in NumPy) -> what the run folder keeps, as lists, numbers and dicts.
    check: (numbers in an example's carry, steps of a sequence) -> None; raises ValueError where it does not fit these.
    batch_axis: where examples stand in every array of the tree, for sharing them between devices; None: nowhere.
    steps: it takes a model step by step, which one that reads both ways refuses.
    """

    measure: Callable[[Model, Params, Batch, Task], Any]
    record: Callable[[Any], dict]
    check: Callable[[int, int], Any] = lambda size, length: None
    batch_axis: int | None = None
    steps: bool = True


def gradient_flow(sources: int = 1) -> Diagnosis:
    """Norm of the loss's gradient in the carry against lag, and its half-life, from `sources` steps with a loss."""
    check_positive(sources=sources)

    def measure(model, params, batch, task):
        return horizon.lag_norms(model, params, batch, task, sources)

    return Diagnosis(measure, horizon.flow_record, batch_axis=2, steps=False)


def carry_norms() -> Diagnosis:
    """Norm of the carry at each step, and of its difference from the last."""

    def measure(model, params, batch, task):
        return diagnostics.carry_norms(model.cell, params, batch.inputs, **_options(batch))

    def record(found):
        return {"curves": {what: {n: horizon.spread(x) for n, x in of.items()} for what, of in found.items()}}

    return Diagnosis(measure, record)


def jacobian_products(lags: tuple[int, ...] = (), count: int = 0, examples: int = 4) -> Diagnosis:
    """Norm, singular values and condition number of dcarry_T/dcarry_t against lag; no lags: twelve, log-spaced.

    count: how many of the largest singular values; 0: all.
    """
    check_positive(examples=examples)

    def measure(model, params, batch, task):
        few, steps = _first(batch, examples), batch.weights.shape[0]
        chosen = tuple(lags) or tuple(sorted({round(x) for x in np.geomspace(1, steps, 12)}))
        found = diagnostics.jacobian_products(
            model.cell, params, few.inputs, lags=chosen, count=count or None, **_options(few)
        )
        return {"lags": jnp.asarray(chosen)} | found._asdict()

    def record(found):
        log10 = {name: found[name] / np.log(10) for name in ("log_norm", "log_condition", "log_singular_values")}
        return {
            "lags": found["lags"].tolist(),
            "log10_norm": horizon.spread(log10["log_norm"]),
            "log10_condition": horizon.spread(log10["log_condition"]),
            "log10_singular_values": np.median(log10["log_singular_values"], axis=1).tolist(),
        }

    def check(size, length):
        check_count(count or None, size)
        check_lags(tuple(lags) or (1,), length)

    return Diagnosis(measure, record, check)


def lyapunov_spectrum(exponents: int = 0, warmup: int = 0, examples: int = 4) -> Diagnosis:
    """The first Lyapunov exponents along the batch's sequences, in nats a step, and how they converge; 0: all."""
    check_positive(examples=examples)

    def measure(model, params, batch, task):
        few = _first(batch, examples)
        return diagnostics.lyapunov_spectrum(
            model.cell, params, few.inputs, exponents or None, warmup=warmup, **_options(few)
        )._asdict()

    def record(found):
        running = found["running"]
        some = np.unique(np.geomspace(1, len(running), 20).round().astype(int)) - 1
        return {
            "exponents": horizon.spread(found["exponents"].T),
            "steps": (some + 1).tolist(),
            "running": np.median(running[some], axis=1).tolist(),
        }

    def check(size, length):
        check_count(exponents or None, size)
        check_warmup(warmup, length)

    return Diagnosis(measure, record, check)


def recurrent_eigenvalues(steps: tuple[int, ...] = (), examples: int = 1) -> Diagnosis:
    """Eigenvalues of each recurrent kernel, and of the step's Jacobian at some steps; none: first, middle, last."""
    check_positive(examples=examples)

    def measure(model, params, batch, task):
        few, last = _first(batch, examples), batch.weights.shape[0] - 1
        chosen = tuple(steps) or tuple(sorted({0, last // 2, last}))
        jacobians = step_jacobians(model.cell, params, few.inputs, steps=chosen, **_options(few))
        kernels = {name: {KERNEL: p[KERNEL]} for name, p in params.items() if KERNEL in p}
        return {"steps": jnp.asarray(chosen), "jacobians": jacobians, "kernels": kernels}

    def record(found):
        return {
            "steps": found["steps"].tolist(),
            "kernel": {name: _complex(values) for name, values in kernel_eigenvalues(found["kernels"]).items()},
            "jacobian": [_complex(eigenvalues(at_step)) for at_step in found["jacobians"]],
        }

    return Diagnosis(measure, record, check=lambda size, length: check_steps(tuple(steps) or (0,), length))


def gate_statistics(margin: float = 0.1) -> Diagnosis:
    """How open each gate is, and the share of it within `margin` of shut or open, over units and over time."""
    if not 0 < margin < 0.5:
        raise ValueError(f"margin must lie between 0 and 0.5, got {margin}")

    def measure(model, params, batch, task):
        return diagnostics.gate_statistics(model.cell, params, batch.inputs, margin=margin, **_options(batch))

    def record(found):
        return {"gates": {name: {k: v.tolist() for k, v in of._asdict().items()} for name, of in found.items()}}

    return Diagnosis(measure, record)


def length_generalisation(
    task: str, lengths: tuple[int, ...], kwargs: dict | None = None, examples: int = 1000
) -> Diagnosis:
    """Metrics of a task at other lengths than those trained on; kwargs: the task's other arguments."""
    check_positive(examples=examples)
    factory, options = find(TASKS, task, "task"), dict(kwargs or {}) | {"eval_size": examples}

    def measure(model, params, batch, _):
        at_once = math.gcd(examples, 100)
        return {
            "lengths": jnp.asarray(lengths),
            "metrics": evaluate_lengths(
                model, params, lambda length: factory(length, **options), tuple(lengths), examples, at_once
            ),
        }

    def record(found):
        metrics = {name: values.tolist() for name, values in found["metrics"].items()}
        return {"lengths": found["lengths"].tolist(), "metrics": metrics}

    return Diagnosis(measure, record, steps=False)


DIAGNOSES: dict[str, Callable[..., Diagnosis]] = {
    "carry_norms": carry_norms,
    "gate_statistics": gate_statistics,
    "gradient_flow": gradient_flow,
    "jacobian_products": jacobian_products,
    "length_generalisation": length_generalisation,
    "lyapunov_spectrum": lyapunov_spectrum,
    "recurrent_eigenvalues": recurrent_eigenvalues,
}


def _options(batch: Batch) -> dict:
    return {"mask": batch.existing(), "resets": batch.resets}


def _first(batch: Batch, examples: int) -> Batch:
    return jax.tree.map(lambda x: x[:, :examples], batch)


def _complex(values: np.ndarray) -> dict[str, list]:
    return {"real": values.real.tolist(), "imag": values.imag.tolist()}
