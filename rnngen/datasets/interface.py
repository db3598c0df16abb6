"""The contract of an interface: the use of a trained model on arrays, where the data it was trained on are not."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rnngen.heads import Head
from rnngen.tasks import Task
from rnngen.types import InputSpec, check_positive

SIZES_ALONE = "outputs"  # the name of `outputs_interface`


class Interface(NamedTuple):
    """The part of a task that its trained model needs.

    Attributes:
      input_spec: the inputs of the model.
      head: its output distribution.
      loss: (outputs, batch) -> (scalar, {metric: (sum, count)}), as it was trained.
      encode: (values `[t, *b, ...]` in the data's own units) -> inputs of the model; raises ValueError for others.
      decode: (outputs `[t, *b, num_params]`) -> predictions in the data's own units.
      per_step: there is a prediction for each step; else for each sequence, from its last step.
    """

    input_spec: InputSpec
    head: Head
    loss: Callable
    encode: Callable[[np.ndarray], np.ndarray]
    decode: Callable[..., Any]
    per_step: bool = True


def plain_interface(spec: InputSpec, head: Head, loss: Callable) -> Interface:
    """Make the interface of a task whose values are the model's inputs, as they are; predictions are `head.mean`."""

    def encode(values: np.ndarray) -> np.ndarray:
        check_values(values, spec.dim, spec.tokens)
        return values.astype(np.int32 if spec.tokens else np.float32)

    return Interface(spec, head, loss, encode, head.mean)


def outputs_interface(features: int, outputs: int, tokens: bool = False) -> Interface:
    """Make the interface of a task of which only sizes are known: its model runs, but has no loss and draws nothing.

    Args:
      features: of the inputs; of tokens their number.
      outputs: of the model per step.
      tokens: inputs are tokens.

    Returns:
      The interface; predictions are the outputs as they are.

    Raises:
      ValueError: a size is not positive.
    """
    check_positive(features=features, outputs=outputs)

    def unknown(*_: Any, **__: Any) -> Any:
        raise ValueError("this model's task could not be made, so its loss and head are not known; see Task.interface")

    return plain_interface(InputSpec(features, tokens), Head(outputs, unknown, unknown), unknown)


def described(task: Task) -> dict | None:
    """Return the interface of a task as a run's folder holds it: its own, or its sizes; None where it has a codec."""
    if task.interface is not None or task.codec is not None:
        return task.interface
    spec = task.data.input_spec
    kwargs = {"features": spec.dim, "outputs": task.objective.head.num_params, "tokens": spec.tokens}
    return {"name": SIZES_ALONE, "kwargs": kwargs}


def check_values(values: np.ndarray, features: int, tokens: bool = False, missing: bool = False) -> None:
    """Raise ValueError unless values are tokens `[t, *b]` below `features`, or finite numbers `[t, *b, features]`.

    missing: a NaN is a missing value, and passes.
    """
    found = f"got {values.dtype} {list(values.shape)}"
    if tokens:
        if not values.ndim or values.dtype.kind not in "iu":
            raise ValueError(f"xs must be tokens [t, *b], whole numbers from 0 to {features - 1}, {found}")
        InputSpec(features, True).check("xs", values)
        return
    if values.ndim < 2 or values.shape[-1] != features or values.dtype.kind not in "biuf":
        raise ValueError(f"xs must be numbers [t, *b, {features}], {found}")
    check_finite("xs", values, missing)


def check_finite(what: str, values: np.ndarray, missing: bool = False, hint: str = "") -> None:
    """Raise ValueError naming the first number that is infinite or, unless it may be missing, NaN."""
    wrong = np.isinf(values) if missing else ~np.isfinite(values)
    if wrong.any():
        at = np.argwhere(wrong)[0]
        raise ValueError(f"{what} must be finite numbers, got {values[tuple(at)]} at {at.tolist()}{hint}")
