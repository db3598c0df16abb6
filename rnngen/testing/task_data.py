"""Checks of a task's data: evaluation splits are fixed, drawn in any order, disjoint from training, and weighted."""

import hashlib
from collections.abc import Iterator

import jax
import numpy as np

from rnngen.tasks.sampling import SPLITS
from rnngen.testing.case import Broken
from rnngen.testing.task_case import EVALUATIONS, TaskCase
from rnngen.types import Batch

# Real data sets contain duplicates, so a few shared examples are allowed.
SHARED = 0.05


def repeatable(case: TaskCase) -> None:
    """Batch n is the same whether or not other batches were drawn before it."""
    for split in SPLITS:
        step = 3 if case.task.data.sizes[split] is None else min(3, case.count(split) - 1)
        for before in range(step):
            case.draw(split, before)
        first = TaskCase(case.task).draw(split, step)
        _check_equal(f"batch {step} of {split}, drawn after others,", case.draw(split, step), first)
        _check_equal(f"batch {step} of {split}, drawn a second time,", case.draw(split, step), first)


def fresh(case: TaskCase) -> None:
    """An endless train split gives other examples at every step, and for every key."""
    first = case.draw("train")
    for what, other in {"step": case.draw("train", step=1), "key": case.draw("train", seed=1)}.items():
        if _difference(other, first) is None:
            raise Broken(f"batch 0 is the same with another {what}")


def fixed(case: TaskCase) -> None:
    """The evaluation splits ignore the key."""
    for split in EVALUATIONS:
        for step in sorted({0, case.count(split) - 1}):
            _check_equal(f"batch {step} of {split} with another key", case.draw(split, step, 1), case.draw(split, step))


def weights(case: TaskCase) -> None:
    """Weights are finite, not negative, zero at masked steps, and not zero in a whole batch."""
    for split in SPLITS:
        batch = case.draw(split)
        if not np.isfinite(batch.weights).all() or (batch.weights < 0).any():
            raise Broken(f"{split}: weights go from {batch.weights.min()} to {batch.weights.max()}")
        if not batch.weights.any():
            raise Broken(f"{split}: no step of the first batch has weight")
        if batch.mask is not None and (batch.weights[~batch.mask] != 0).any():
            step, example = np.argwhere((batch.weights != 0) & ~batch.mask)[0]
            raise Broken(f"{split}: step {step} of example {example} is masked, and has weight")


def sizes(case: TaskCase) -> None:
    """The batches of an evaluation split hold as many examples with weight as sizes says."""
    for split in EVALUATIONS:
        found = sum(int((batch.weights != 0).any(axis=0).sum()) for batch in case.batches(split))
        if found != case.task.data.sizes[split]:
            raise Broken(f"{split}: {found} examples have weight, and sizes says {case.task.data.sizes[split]}")


def disjoint(case: TaskCase) -> None:
    """The evaluation splits share no examples with the train split."""
    train = set(_examples(case, "train"))
    for split in EVALUATIONS:
        found = list(_examples(case, split))
        shared = sum(example in train for example in found)
        if shared > SHARED * len(found):
            raise Broken(f"{shared} of the {len(found)} examples of {split} are in train")


def _examples(case: TaskCase, split: str) -> Iterator[bytes]:
    """Yield a hash of each example with weight: its inputs where they are unmasked, its targets where they count."""
    for batch in case.batches(split):
        mask = np.asarray(batch.existing())
        for n in np.flatnonzero((batch.weights != 0).any(axis=0)):
            inputs, targets = batch.inputs[mask[:, n], n], batch.targets[batch.weights[:, n] != 0, n]
            yield hashlib.sha256(inputs.tobytes() + b"|" + targets.tobytes()).digest()


def _check_equal(what: str, got: Batch, wanted: Batch) -> None:
    if (field := _difference(got, wanted)) is not None:
        raise Broken(f"{what} has other {field}")


def _difference(got: Batch, wanted: Batch) -> str | None:
    """Name the first field that differs."""
    for field, one, other in zip(Batch._fields, got, wanted, strict=True):
        leaves = jax.tree.leaves(one), jax.tree.leaves(other)
        if not all(np.array_equal(*pair, equal_nan=True) for pair in zip(*leaves, strict=True)):
            return field
    return None
