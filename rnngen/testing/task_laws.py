"""Checks of a task, each a function that raises `Broken`. Those of its data are in `task_data`."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.tasks.sampling import SPLITS
from rnngen.testing.case import Broken
from rnngen.testing.task_case import TaskCase
from rnngen.types import Batch

ROUNDING = 1e-4


def batches(case: TaskCase) -> None:
    """Batches are as input_spec and the head say: inputs, targets, weights [t, b], bool mask and resets."""
    for split in SPLITS:
        batch = case.draw(split)
        steps = (batch.weights.shape[0] if batch.weights.ndim else 0, case.size)
        _check_array(f"{split}: weights", batch.weights, steps, np.floating)
        for name, flags in {"mask": batch.mask, "resets": batch.resets}.items():
            if flags is not None:
                _check_array(f"{split}: {name}", flags, steps, np.bool_)
        spec = case.task.data.input_spec
        kind = np.integer if spec.tokens else np.floating
        _check_array(f"{split}: inputs", batch.inputs, steps if spec.tokens else (*steps, spec.dim), kind)
        try:
            spec.check(f"{split}: inputs", batch.inputs)
        except ValueError as error:
            raise Broken(str(error)) from error
        _check_targets(f"{split}: head.log_prob", case, batch)


def loss(case: TaskCase) -> None:
    """The loss is a finite number with a finite gradient; it reports (sum, count) of each metric, "loss" among them."""
    for split in SPLITS:
        batch = case.draw(split)
        value, sums = case.loss(case.outputs(batch), batch)
        if "loss" not in sums:
            raise Broken(f'its metrics are {", ".join(sums)}, without "loss"')
        for name, (total, count) in sums.items():
            if np.shape(total) or np.shape(count):
                raise Broken(f"{name} is of {np.shape(total)} and {np.shape(count)}, not (sum, count)")
        gradient = case.gradient(case.outputs(batch), batch)
        if np.shape(value) or not np.isfinite(value) or not np.isfinite(gradient).all():
            raise Broken(f"{split}: with standard normal outputs it is {value}, its gradient is {_state(gradient)}")


def adds_up(case: TaskCase) -> None:
    """The sums and counts of metrics over the examples of a batch add up to those of the batch."""
    batch = case.draw("valid")
    outputs = case.outputs(batch)
    whole = case.loss(outputs, batch)[1]
    alone = [case.loss(outputs[:, [n]], jax.tree.map(lambda x, n=n: x[:, [n]], batch))[1] for n in range(case.size)]
    for name, (total, count) in whole.items():
        for what, of_all, place in (("sum", total, 0), ("count", count, 1)):
            added = sum(float(sums[name][place]) for sums in alone)
            _check_close(f"the {what} of {name}", added, float(of_all), "added over the examples one by one")


def padding(case: TaskCase) -> None:
    """Neither more masked steps, nor the outputs and targets of steps without weight, change the loss."""
    batch = case.draw("valid")
    outputs, other = case.outputs(batch), case.outputs(batch, 1)
    counts = batch.weights != 0
    _check_same_loss(case, "other outputs at steps without weight", (outputs, batch), (
        np.where(counts[..., None], outputs, 10 * other), batch
    ))  # fmt: skip
    beyond = np.asarray(case.gradient(outputs, batch))[~counts]
    if not np.all(beyond == 0):
        raise Broken(f"the gradient of an output at a step without weight is {_state(beyond)}, not 0")
    _check_same_loss(case, "other targets at steps without weight", (outputs, batch), (
        outputs, batch._replace(targets=_exchanged(batch.targets, ~counts))
    ))  # fmt: skip
    _check_same_loss(case, "three more masked steps", (outputs, batch), (
        np.concatenate([outputs, other[:1], other[:1], other[:1]]), _padded(batch, 3)
    ))  # fmt: skip


def compiles_once(case: TaskCase) -> None:
    """Samples of the host have the same shapes and dtypes at every step, so that finish compiles once per split."""
    for split in SPLITS:
        steps = sorted({0, 1, 1000 if case.task.data.sizes[split] is None else case.count(split) - 1})
        counted = TaskCase(case.task)
        for seed, step in enumerate(steps):
            counted.draw(split, step, seed)
        if counted.traced > 1:
            raise Broken(f"finish was compiled {counted.traced} times for batches {steps} of {split}")


def baseline(case: TaskCase) -> None:
    """Constant outputs, fitted to the train split, do not beat the baseline on the test split."""
    wanted = case.task.expected_baseline("test")
    if not np.isfinite(wanted):
        raise Broken(f"it is {wanted}")
    reached, error = case.best_constant
    if reached < wanted - 4 * error - 0.01 * abs(wanted):
        raise Broken(f"constant outputs reach a loss of {reached:.4g}, and the baseline is {wanted:.4g}")


def _check_targets(what: str, case: TaskCase, batch: Batch) -> None:
    try:
        found = jax.eval_shape(case.task.objective.head.log_prob, case.outputs(batch), batch.targets)
    except (TypeError, ValueError) as error:
        targets = f"{batch.targets.dtype}{list(batch.targets.shape)}"
        raise Broken(f"{what} cannot read targets {targets}: {str(error).splitlines()[0]}") from error
    _check_array(f"{what} of the targets", found, batch.weights.shape, np.floating)


def _check_array(what: str, array: Any, shape: tuple[int, ...], kind: Any) -> None:
    if not hasattr(array, "dtype"):
        raise Broken(f"{what}: expected an array, got a {type(array).__name__}")
    right = jnp.issubdtype(array.dtype, kind)
    if array.shape != shape or not right:
        wanted = {np.floating: "float", np.integer: "int", np.bool_: "bool"}[kind]
        raise Broken(f"{what}: expected {wanted}{list(shape)}, got {array.dtype}{list(array.shape)}")


def _check_close(what: str, got: float, wanted: float, how: str) -> None:
    if not abs(got - wanted) <= ROUNDING * (1 + abs(wanted)):
        raise Broken(f"{what} is {got:.6g} {how}, and {wanted:.6g} otherwise")


def _check_same_loss(
    case: TaskCase, how: str, before: tuple[np.ndarray, Batch], after: tuple[np.ndarray, Batch]
) -> None:
    (value, sums), (new_value, new_sums) = case.loss(*before), case.loss(*after)
    _check_close("the loss", float(new_value), float(value), f"with {how}")
    for name, (total, count) in sums.items():
        _check_close(f"the sum of {name}", float(new_sums[name][0]), float(total), f"with {how}")
        _check_close(f"the count of {name}", float(new_sums[name][1]), float(count), f"with {how}")


def _exchanged(targets: Any, where: Any) -> Any:
    """Replace targets where `where` `[t, b]` is True by those of another example."""
    wide = where.reshape(*where.shape, *[1] * (targets.ndim - where.ndim))
    return np.where(wide, np.roll(targets[::-1], 1, axis=1), targets)


def _padded(batch: Batch, steps: int) -> Batch:
    """Append steps to a batch that repeat the first one, masked and without weight."""
    longer = jax.tree.map(lambda x: np.concatenate([x, *[x[:1]] * steps]), batch)
    last = np.arange(len(longer.weights)) >= len(batch.weights)
    mask = np.ones(longer.weights.shape, bool) if longer.mask is None else longer.mask
    beyond = np.broadcast_to(last[:, None], mask.shape)
    return longer._replace(weights=np.where(beyond, 0, longer.weights), mask=mask & ~beyond)


def _state(array: Any) -> str:
    worst = np.max(np.abs(np.asarray(array)), initial=0.0)
    return f"{worst:.3g} at most" if np.isfinite(worst) else "not finite"
